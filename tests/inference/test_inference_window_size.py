import numpy as np
import pytest
import torch
from samples import FOREGROUND, UNET

from pytc_auto.geometry import Box
from pytc_auto.inference.predict import predict_box
from pytc_auto.inference.window_size import window_plan
from pytc_auto.io.volume import ArrayVolume
from pytc_auto.models.build import build_network


@pytest.mark.parametrize(
    ("shape", "patch", "window"),
    [
        ((40, 250, 250), (72, 72, 72), (40, 96, 96)),
        ((250, 40, 250), (72, 72, 72), (96, 40, 96)),
        ((72, 250, 250), (72, 72, 72), (72, 72, 72)),
        ((45, 60, 400), (72, 72, 72), (46, 60, 134)),
        ((5, 80, 300), (16, 96, 96), (6, 80, 300)),
        ((9, 11, 13), (16, 16, 16), (10, 12, 14)),
    ],
)
def test_a_thin_volume_keeps_its_extent_and_the_window_its_voxels(make_plan, shape, patch, window):
    plan = make_plan(patch=patch)
    assert window_plan(plan, shape).patch == window


@pytest.mark.parametrize(
    ("shape", "window"),
    [((300, 300, 300), (144, 144, 144)), ((144, 200, 144), (144, 144, 144)), ((40, 250, 400), (40, 250, 272))],
)
def test_a_window_of_two_patches(make_plan, shape, window):
    plan = make_plan(patch=(72, 72, 72), window=2)
    assert window_plan(plan, shape).patch == window


def test_an_image_stays_one_section(make_plan):
    flat = {**UNET, "strides": [[1, 1, 1], [1, 2, 2]], "kernels": [[1, 3, 3], [1, 3, 3]]}
    plan = make_plan(patch=(1, 32, 32), window=2, network=flat, heads=[FOREGROUND])
    assert window_plan(plan, (1, 100, 70)).patch == (1, 64, 64)


@pytest.mark.parametrize("shape", [(50, 32, 32), (50, 8, 200), (50, 40, 40), (6, 300, 20), (3, 64, 64)])
def test_a_network_of_one_section_sees_one_section_of_any_stack(make_plan, shape):
    """Its normalization must not know of the others."""
    flat = {**UNET, "strides": [[1, 1, 1], [1, 2, 2]], "kernels": [[1, 3, 3], [1, 3, 3]]}
    plan = make_plan(patch=(1, 32, 32), window=2, network=flat, heads=[FOREGROUND])
    stack, single = window_plan(plan, shape).patch, window_plan(plan, (1, *shape[1:])).patch
    assert stack == single
    assert stack[0] == 1
    assert all(n <= m for n, m in zip(stack, shape, strict=True))


@pytest.mark.parametrize("shape", [(1, 1, 2), (2, 2, 2), (1, 2, 1)])
@pytest.mark.parametrize("flat", [False, True])
def test_a_volume_of_one_voxel_at_the_coarsest_stage_is_filled_up(make_plan, shape, flat):
    network = {**UNET, "strides": [[1, 1, 1], [1, 2, 2]], "kernels": [[1, 3, 3], [1, 3, 3]]} if flat else UNET
    plan = make_plan(patch=(1, 16, 16) if flat else (16, 16, 16), network=network, heads=[FOREGROUND])
    assert window_plan(plan, shape).patch == ((1, 4, 2) if flat else (4, 2, 2))
    image = np.arange(20, 20 + np.prod(shape), dtype=np.uint8).reshape(shape)
    logits = predict_box([build_network(plan)], ArrayVolume(image), plan, Box.of_shape(shape))
    assert logits.shape == (1, *shape)
    assert np.isfinite(logits).all()


class Local(torch.nn.Module):
    """Knows what it was shown."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels
        self.seen = []

    def forward(self, image):
        self.seen.append(tuple(image.shape[2:]))
        return image.expand(-1, self.channels, -1, -1, -1)


@pytest.mark.parametrize("symmetries", [1, 8])
def test_no_voxel_is_mirrored_where_the_extent_divides(make_plan, symmetries):
    plan = make_plan(patch=(16, 16, 16), symmetries=symmetries)
    image = np.random.default_rng(0).integers(20, 230, (4, 24, 40)).astype(np.uint8)
    network = Local(plan.channels)
    logits = predict_box([network], ArrayVolume(image), plan, Box.of_shape(image.shape))
    assert set(network.seen) == {(4, 24, 32)}
    inside = logits[-1]
    low, high = plan.intensity.clip
    subtract, divide = plan.intensity.scale
    np.testing.assert_allclose(inside, (np.clip(image, low, high) - subtract) / divide, atol=1e-4)


@pytest.mark.parametrize("window", [1, 2])
def test_blocks_of_a_thin_volume_equal_the_whole(make_plan, window):
    plan = make_plan(patch=(16, 16, 16), window=window)
    image = ArrayVolume(np.random.default_rng(1).integers(20, 230, (6, 50, 45)).astype(np.uint8))
    torch.manual_seed(0)
    network = torch.nn.Conv3d(1, plan.channels, 3, padding=1)
    whole = predict_box([network], image, plan, image.box)
    part = predict_box([network], image, plan, Box((1, 13, 7), (5, 40, 31)))
    np.testing.assert_allclose(part, whole[:, 1:5, 13:40, 7:31], atol=1e-4)


def test_a_network_that_knows_one_extent_keeps_its_patch(make_plan):
    strides = [[1] * 3, *[[2] * 3] * 4]
    network = {"kind": "unetr", "features": [4, 8, 16, 32, 16], "strides": strides, "kernels": [[3] * 3] * 5}
    plan = make_plan(patch=[32, 32, 48], network=network | {"blocks": [1, 1, 1, 1, 12]})
    assert window_plan(plan, (10, 300, 400)) == plan

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import small_plan

from pytc_auto.errors import PlanError
from pytc_auto.geometry import ALL_SYMMETRIES, Symmetry
from pytc_auto.inference.mirror import SymmetricAverage, channel_sources, choose_symmetries, transform
from pytc_auto.targets.affinities import affinities_from_labels, affinity_mask

OUTSIDE = -7.0
FOREGROUND = {"kind": "foreground", "width_nm": 0.0, "loss": "dice_bce", "weight": 1.0}
CUBIC = [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [-4, 0, 0], [0, -4, 0], [0, 0, -4]]
DIAGONAL = [[-1, 0, 0], [0, -2, 0], [0, 0, -2], [0, -3, 3], [0, 3, 3]]
BOTH_WAYS = [[-1, 0, 0], [1, 0, 0], [0, -2, 0], [0, 0, -2], [0, 0, 3], [0, 3, 0]]
FLAT = {
    "kind": "unet",
    "features": [4, 8],
    "strides": [[1, 1, 1], [1, 2, 2]],
    "kernels": [[1, 3, 3], [1, 3, 3]],
    "blocks": [1, 1],
}
CASES = {
    "isotropic": {"offsets": CUBIC, "voxel_size_nm": [8.0, 8.0, 8.0], "patch": [8, 8, 8]},
    "anisotropic": {"offsets": DIAGONAL, "voxel_size_nm": [40.0, 8.0, 8.0], "patch": [4, 10, 10], "network": FLAT},
    "three sizes": {"offsets": CUBIC, "voxel_size_nm": [20.0, 10.0, 6.0], "patch": [6, 8, 10]},
    "both ways": {"offsets": BOTH_WAYS, "voxel_size_nm": [40.0, 8.0, 8.0], "patch": [4, 8, 8], "network": FLAT},
    "one section": {"offsets": BOTH_WAYS[2:5], "voxel_size_nm": [40.0, 8.0, 8.0], "patch": [1, 8, 8], "network": FLAT},
}
ORDERS = {"isotropic": 48, "anisotropic": 16, "three sizes": 8, "both ways": 16, "one section": 8}


def a_plan(make_plan, name):
    case = dict(CASES[name])
    head = {"kind": "affinities", "offsets": case.pop("offsets"), "loss": "balanced_bce", "weight": 1.0}
    return make_plan(heads=[FOREGROUND, head, {**FOREGROUND, "kind": "boundary"}], **case)


def affinities_of(plan):
    """A perfect network: what it says of a pair of voxels depends on the pair alone."""

    def forward(patch_nczyx):
        labels = patch_nczyx[0, 0].numpy()
        found = [labels * 2]
        for offset in plan.offsets:
            values = np.full(labels.shape, OUTSIDE, np.float32)
            for index in np.ndindex(labels.shape):
                partner = tuple(i + o for i, o in zip(index, offset, strict=True))
                if all(0 <= i < n for i, n in zip(partner, labels.shape, strict=True)):
                    values[index] = labels[index] * labels[partner] + (labels[index] == labels[partner])
            found.append(values)
        return torch.from_numpy(np.stack([*found, labels * 3])[None])

    return forward


def coded_labels(patch):
    return torch.from_numpy(np.random.default_rng(0).integers(1, 99, (1, 1, *patch)).astype(np.float32))


@pytest.mark.parametrize("name", CASES)
def test_each_symmetry_alone_gives_the_plain_prediction(make_plan, name):
    plan = a_plan(make_plan, name)
    assert len(plan.symmetry_group) == ORDERS[name]
    forward, labels = affinities_of(plan), coded_labels(plan.patch)
    before = labels.clone()
    plain = forward(labels)[0]
    symmetries = plan.symmetry_group if name != "isotropic" else plan.symmetry_group[::5]
    for symmetry in symmetries:
        mean = SymmetricAverage(plan, tuple({Symmetry(): 0, symmetry: 0}), "cpu")(forward, labels)
        torch.testing.assert_close(mean, plain, rtol=1e-6, atol=0, msg=str(symmetry))
    assert torch.equal(labels, before)


@pytest.mark.parametrize("name", [n for n in CASES if n != "isotropic"])
def test_the_whole_group_gives_the_plain_prediction(make_plan, name):
    plan = a_plan(make_plan, name)
    forward, labels = affinities_of(plan), coded_labels(plan.patch)
    mean = SymmetricAverage(plan, choose_symmetries(plan, 48), "cpu")(forward, labels)
    torch.testing.assert_close(mean, forward(labels)[0], rtol=1e-5, atol=0)


def slope(patch_nczyx):
    """A perfect network of a vector: how the image changes along each axis, and the image."""
    image = patch_nczyx[0, 0]
    return torch.stack([*(image.roll(-1, axis) - image.roll(1, axis) for axis in range(3)), image])[None]


@pytest.mark.parametrize("name", CASES)
def test_the_components_of_a_flow_are_exchanged_and_reversed_with_the_image(make_plan, name):
    flow = {"kind": "flow", "loss": "mse", "weight": 1.0}
    distance = {"kind": "signed_distance", "scale_nm": 30.0, "loss": "mse", "weight": 1.0}
    case = {k: v for k, v in CASES[name].items() if k != "offsets"}
    plan = make_plan(heads=[FOREGROUND, {**FOREGROUND, "kind": "boundary"}, flow, distance], **case)
    labels = coded_labels(plan.patch)

    def forward(patch_nczyx):
        found = slope(patch_nczyx)
        return torch.cat([found[:, 3:], found[:, 3:] * 2, found], dim=1)

    before = labels.clone()
    for symmetry in plan.symmetry_group:
        mean = SymmetricAverage(plan, tuple({Symmetry(): 0, symmetry: 0}), "cpu")(forward, labels)
        torch.testing.assert_close(mean, forward(labels)[0], rtol=1e-6, atol=1e-4, msg=str(symmetry))
    assert torch.equal(labels, before)


@st.composite
def plans_with_offsets(draw):
    """Isotropic, sections, or three sizes; offsets that some of the cube's symmetries keep."""
    size, extents = draw(st.sampled_from([((8, 8, 8), (8, 8, 8)), ((30, 8, 8), (4, 10, 10)), ((20, 10, 6), (6, 8, 10))]))
    reach = draw(st.integers(1, 3))
    offsets = [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [0, -reach, reach], [0, reach, reach], [0, -reach - 1, 0], [0, 0, -reach - 1]]
    chosen = draw(st.sampled_from([offsets[:3], offsets, [[-i for i in o] for o in offsets]]))
    head = {"kind": "affinities", "offsets": draw(st.permutations(chosen)), "loss": "balanced_bce", "weight": 1.0}
    fields = {"network": FLAT} if size[0] == 30 else {}
    return small_plan(heads=[head], voxel_size_nm=size, patch=extents, **fields)


@settings(max_examples=25, deadline=None)
@given(plan=plans_with_offsets(), seed=st.integers(0, 10**6), data=st.data())
def test_affinities_commute_with_each_symmetry_of_the_plans_group(plan, seed, data):
    """Affinities of transformed labels, brought back channel by channel, are those of the labels, wherever they are known."""
    rng = np.random.default_rng(seed)
    labels, unlabeled = rng.integers(0, 3, plan.patch), rng.random(plan.patch) < 0.1
    plain, known = affinities_from_labels(labels, plan.offsets), affinity_mask(unlabeled, plan.offsets)
    symmetry = data.draw(st.sampled_from(plan.symmetry_group))
    moved = affinities_from_labels(symmetry.apply(labels), plan.offsets)
    moved_known = affinity_mask(symmetry.apply(unlabeled), plan.offsets)
    seen = np.zeros(known.shape, bool)
    for source in channel_sources(plan, symmetry):
        into, out_of = source.inner(plan.patch)
        for there, here in ((moved, plain), (moved_known, known)):
            np.testing.assert_array_equal(symmetry.inverse.apply(there[source.channel])[out_of], here[(source.target, *into)])
        seen[(source.target, *into)] = True
    assert not known[~seen].any()


def test_errors_of_a_network_are_averaged_out(make_plan):
    plan = make_plan(heads=[FOREGROUND], patch=[4, 4, 4])
    ramp = torch.arange(4.0).expand(1, 1, 4, 4, 4)
    mean = SymmetricAverage(plan, (Symmetry(), Symmetry(flips=(False, False, True))), "cpu")(lambda _: ramp, ramp)
    torch.testing.assert_close(mean, torch.full((1, 4, 4, 4), 1.5))


def test_rim_without_a_value_has_the_other_predictions_only(make_plan):
    """Under a flip of x the link (x, x - 1) lies on the partner; at x = 0 there is none."""
    head = {"kind": "affinities", "offsets": CUBIC[:3], "loss": "balanced_bce", "weight": 1.0}
    plan = make_plan(heads=[head], patch=[4, 4, 4])
    answers = iter([torch.zeros(1, 3, 4, 4, 4), torch.arange(4.0).expand(1, 3, 4, 4, 4)])
    flip = Symmetry(flips=(False, False, True))
    mean = SymmetricAverage(plan, (Symmetry(), flip), "cpu")(lambda _: next(answers), torch.zeros(1, 1, 4, 4, 4))
    assert mean[0, 0, 0].tolist() == [1.5, 1.0, 0.5, 0.0]
    assert mean[2, 0, 0].tolist() == [0.0, 1.5, 1.0, 0.5]


def test_transform_equals_the_symmetry():
    array = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    for symmetry in ALL_SYMMETRIES:
        np.testing.assert_array_equal(transform(symmetry, torch.from_numpy(array)).numpy(), symmetry.apply(array))


def test_choice_is_ordered(make_plan):
    plan = make_plan()
    group = choose_symmetries(plan, 99)
    assert len(set(group)) == 48
    assert group[0] == Symmetry()
    assert all(s.axes == (0, 1, 2) for s in group[:8])
    assert [s.flips for s in group[1:4]] == [(False, False, True), (False, True, False), (False, True, True)]
    for count in (1, 3, 8, 20):
        assert choose_symmetries(plan, count) == group[:count]


def test_no_symmetry_is_refused(make_plan):
    with pytest.raises(PlanError, match="symmetries is 0"):
        choose_symmetries(make_plan(), 0)


def test_foreign_symmetries_are_refused(make_plan):
    plan = a_plan(make_plan, "anisotropic")
    with pytest.raises(ValueError, match="which no channel has"):
        channel_sources(plan, Symmetry(axes=(1, 0, 2)))
    with pytest.raises(ValueError, match="identity"):
        SymmetricAverage(plan, (Symmetry(flips=(True, False, False)),), "cpu")

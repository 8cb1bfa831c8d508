import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from pytc_auto.models import convolution
from pytc_auto.models.build import build_from
from pytc_auto.planning.cost import multiply_adds
from pytc_auto.planning.memory import forward_bytes, memory_bytes, parameters, recomputed_bytes, saved_bytes
from pytc_auto.schema.network import Network

ISOTROPIC = ([(1, 1, 1), *[(2, 2, 2)] * 4], [(3, 3, 3)] * 5, (32, 48, 32))
FLAT = ([(1, 1, 1), *[(1, 2, 2)] * 4], [(1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)], (7, 64, 48))
STEP = ([(1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2), (1, 2, 2)], [(1, 3, 3), (1, 3, 3), *[(3, 3, 3)] * 3], (10, 48, 64))
GEOMETRIES = {"isotropic": ISOTROPIC, "flat": FLAT, "step": STEP}
CONVOLUTIONAL = [
    (8, 2, [2] * 5),
    (16, 5, [2] * 5),
    (8, 4, [1, 3, 4, 6, 6]),
    (16, 3, [2, 2, 2]),
    (12, 4, [1, 1, 2, 2]),
    (24, 4, [2] * 4),
]
MEDNEXT = [
    (8, 5, [2] * 5, [2] * 5, 3),
    (8, 5, [2] * 5, [2, 3, 4, 4, 4], 3),
    (8, 5, [3, 4, 4, 4, 4], [2, 3, 4, 4, 4], 5),
    (4, 5, [3, 4, 8, 8, 8], [3, 4, 8, 8, 8], 3),
    (16, 3, [2, 2, 2], [2, 2, 2], 5),
    (12, 4, [1, 2, 1, 2], [3, 2, 2, 4], 3),
]


@pytest.fixture(autouse=True)
def by_torch(monkeypatch):
    """oneDNN, called by its name, wants values; a convolution keeps the same either way (tests/models)."""
    monkeypatch.setattr(convolution, "SMALL", 0)


def measured(network, patch, channels, precision):
    """Bytes of the different storages that a forward pass keeps, the parameters themselves left out; and how many of these.

    Nothing is computed where the network does not ask for values: tensors are there without them. Checkpointed blocks keep what
    comes into them. A residual encoder is cast as a whole, and its 16-bit weights are counted: autocast on a CPU, other than on
    a GPU, raises average pooling to float32.
    """
    cast = network.kind == "resenc" and precision == "bf16"
    if cast or network.kind == "dints":  # the forward pass of a DiNTS depends on values
        model = build_from(network, channels, patch)
        return kept_by(model.to("meta").bfloat16() if cast else model, network, patch, precision, cast)
    if network.kind == "swin_unetr":  # only its building does
        model = build_from(network, channels, patch)
        with FakeTensorMode(allow_non_fake_inputs=True):
            return kept_by(without_values(model), network, patch, precision, cast)
    with FakeTensorMode():
        return kept_by(build_from(network, channels, patch), network, patch, precision, cast)


def without_values(model):
    """The same network; its weights take no memory, and computing on a 16-bit one no time."""
    for module in model.modules():
        for name, tensor in module.named_parameters(recurse=False):
            setattr(module, name, nn.Parameter(torch.empty(tensor.shape)))
        for name, tensor in module.named_buffers(recurse=False):
            setattr(module, name, torch.empty(tensor.shape, dtype=tensor.dtype))
    return model


def kept_by(model, network, patch, precision, cast):
    own = {p.untyped_storage()._cdata for p in model.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = (storage.nbytes(), storage)
        return tensor

    if network.checkpointing:
        for stage in [*model.enc_stages, model.bottleneck, *model.dec_stages, model.down_blocks, model.up_blocks]:
            for block in stage:
                block.register_forward_pre_hook(lambda _, inputs: (keep(inputs[0]), None)[1])
    image = torch.randn(1, 1, *patch)
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16" and not cast),
    ):
        logits = model(image.to("meta").bfloat16() if cast else image)
    assert all(stage.requires_grad for stage in (logits if network.deep_supervision else [logits]))
    weights = sum(p.numel() for p in model.parameters())
    return sum(size for size, _ in kept.values()) + (2 * weights if cast else 0), weights


def network_of(kind, geometry, width, stages, blocks, **more):
    strides, kernels, patch = GEOMETRIES[geometry]
    features = [width * 2**i for i in range(stages)]
    made = Network(
        kind=kind, features=features, strides=strides[:stages], kernels=kernels[:stages], blocks=blocks[:stages], **more
    )
    return made, patch


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize(("width", "stages", "blocks"), CONVOLUTIONAL)
@pytest.mark.parametrize("kind", ["unet", "resenc"])
def test_the_estimate_is_what_a_convolutional_network_keeps(kind, width, stages, blocks, geometry, precision):
    network, patch = network_of(kind, geometry, width, stages, blocks)
    found, weights = measured(network, patch, 5, precision)
    assert saved_bytes(network, patch, 5, precision=precision) == pytest.approx(found, rel=0.1)
    assert parameters(network, 5) == pytest.approx(weights, rel=0.05)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize(("width", "stages", "blocks", "expansion", "kernel"), MEDNEXT)
def test_the_estimate_is_what_a_mednext_keeps(width, stages, blocks, expansion, kernel, geometry, checkpointing):
    more = {"expansion": expansion, "checkpointing": checkpointing}
    network, patch = network_of("mednext", geometry, width, stages, blocks, **more)
    network = network.replace(kernels=[tuple(kernel if k > 1 else 1 for k in triple) for triple in network.kernels])
    found, weights = measured(network, patch, 3, "bf16")
    assert saved_bytes(network, patch, 3) == pytest.approx(found, rel=0.1)
    assert parameters(network, 3) == pytest.approx(weights, rel=0.1)


def test_checkpointing_saves_memory_but_for_one_block():
    plain, patch = network_of("mednext", "isotropic", 16, 5, [2] * 5, expansion=[2] * 5)
    sparing = plain.replace(checkpointing=True)
    whole, part = saved_bytes(plain, patch, 3), saved_bytes(sparing, patch, 3)
    assert part < whole / 4
    assert 0 == recomputed_bytes(plain, patch, 3) < recomputed_bytes(sparing, patch, 3) < whole / 4
    assert memory_bytes(sparing, patch, 3, 4) < memory_bytes(plain, patch, 3, 4)


def test_memory_grows_with_batch_patch_channels_and_precision():
    network, patch = network_of("resenc", "step", 16, 5, [2] * 5)
    one = memory_bytes(network, patch, 3, 1)
    assert memory_bytes(network, patch, 3, 2) > one
    assert memory_bytes(network, (10, 96, 64), 3, 1) > one
    assert memory_bytes(network, patch, 9, 1) > one
    assert memory_bytes(network, patch, 3, 1, precision="fp32") > one
    assert forward_bytes(network, patch, 3) < one


HALVED = {
    "segresnet": [([8, 16, 32, 64], [1, 2, 2, 4], (16, 32, 48)), ([16, 32, 64], [2, 1, 1], (32, 24, 16))],
    "dints": [([8, 16, 32, 64], [1, 2, 2, 2], (16, 32, 48)), ([4, 8, 16], [1, 6, 6], (32, 24, 16))],
    "swin_unetr": [
        ([12, 12, 24, 48, 96, 192], [1, 2, 2, 2, 2, 1], (32, 64, 32)),
        ([24, 24, 48, 96, 192, 384], [1, 2, 1, 1, 2, 1], (64, 32, 32)),
    ],
    "unetr": [([8, 16, 32, 64, 64], [1, 1, 1, 1, 12], (48, 64, 32)), ([16, 32, 64, 128, 192], [1, 1, 1, 1, 12], (32, 48, 16))],
}
HALVED_CASES = [(kind, *case) for kind, cases in HALVED.items() for case in cases]


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@pytest.mark.parametrize(("kind", "features", "blocks", "patch"), HALVED_CASES)
def test_the_estimate_is_what_a_network_of_monai_keeps(kind, features, blocks, patch, precision):
    stages = len(features)
    strides = [(1, 1, 1), *[(2, 2, 2)] * (stages - 1)]
    network = Network(kind=kind, features=features, strides=strides, kernels=[(3, 3, 3)] * stages, blocks=blocks)
    found, weights = measured(network, patch, 5, precision)
    assert saved_bytes(network, patch, 5, precision=precision) == pytest.approx(found, rel=0.05)
    assert parameters(network, 5) == pytest.approx(weights, rel=0.05)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize(("width", "stages"), [(8, 5), (12, 3)])
def test_the_estimate_is_what_a_dynunet_keeps(width, stages, geometry):
    network, patch = network_of("dynunet", geometry, width, stages, [2] * 5)
    found, weights = measured(network, patch, 5, "bf16")
    assert saved_bytes(network, patch, 5) == pytest.approx(found, rel=0.1)
    assert parameters(network, 5) == pytest.approx(weights, rel=0.05)


def test_attention_is_part_of_the_memory_and_of_the_work():
    features = [12, 12, 24, 48, 96, 192]
    raw = {"features": features, "strides": [(1, 1, 1), *[(2, 2, 2)] * 5], "kernels": [(3, 3, 3)] * 6}
    one = Network(kind="swin_unetr", blocks=[1, 1, 1, 1, 1, 1], **raw)
    two = one.replace(blocks=[1, 2, 1, 1, 1, 1])
    patch = (64, 64, 64)
    weighed = 3 * 7**3 * 35**3
    assert saved_bytes(two, patch, 3) - saved_bytes(one, patch, 3) > 6 * weighed
    assert forward_bytes(one, patch, 3) > 12 * weighed
    products = 2 * 7**3 * 12 * 35**3
    assert multiply_adds(two, patch, 3) - multiply_adds(one, patch, 3) > products


@pytest.mark.parametrize("kind", ["unet", "resenc", "mednext", "dynunet"])
def test_the_estimate_knows_deep_supervision(kind):
    more = {"expansion": [2] * 4} if kind == "mednext" else {}
    plain, patch = network_of(kind, "isotropic", 16, 4, [2] * 5, **more)
    network = plain.replace(deep_supervision=True)
    assert network.supervised(patch) == [1, 2]
    found, _ = measured(network, patch, 5, "fp32")
    assert saved_bytes(network, patch, 5, precision="fp32") == pytest.approx(found, rel=0.1)
    coarse = 32 * 48 * 32 * (1 / 8 + 1 / 64) * 5 * 20
    assert memory_bytes(network, patch, 5, 1) - memory_bytes(plain, patch, 5, 1) == pytest.approx(coarse, rel=0.1)
    assert multiply_adds(network, patch, 5) > multiply_adds(plain, patch, 5)


def test_a_transformer_block_of_few_and_wide_tokens_is_estimated_too():
    raw = {"features": [24, 24, 48, 96, 192, 384], "strides": [(1, 1, 1), *[(2, 2, 2)] * 5], "kernels": [(3, 3, 3)] * 6}
    one = Network(kind="swin_unetr", blocks=[1, 1, 1, 1, 1, 1], **raw)
    two = one.replace(blocks=[1, 1, 1, 1, 4, 1])
    patch = (32, 64, 32)
    found, wanted = (
        [how(made, patch) for made in (one, two)]
        for how in (lambda *of: measured(*of, 3, "fp32")[0], lambda *of: saved_bytes(*of, 3, precision="fp32"))
    )
    assert wanted[1] - wanted[0] == pytest.approx(found[1] - found[0], rel=0.05)

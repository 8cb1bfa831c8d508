"""Names and shapes of v1's states, spelled out by hand from the description of its networks, for what has no golden state."""

from __future__ import annotations

import itertools

import pytest
from samples_v1 import design_v1

from pytc_auto.models.build import build_from

STATISTICS = ("weight", "bias", "running_mean", "running_var")


class Spelled(dict):
    """The state of a network, name by name."""

    def __init__(self, norm="bn", flat=False, block="residual"):
        super().__init__()
        self.norm, self.flat, self.block = norm, flat, block

    def conv(self, name, inputs, outputs, kernel, *, bias=False, groups=1):
        self[f"{name}.weight"] = (outputs, inputs // groups, *kernel[self.flat :])
        if bias:
            self[f"{name}.bias"] = (outputs,)

    def normed(self, name, features, norm=None):
        norm = norm or self.norm
        if norm in {"bn", "sync_bn"}:
            self.update({f"{name}.{part}": (features,) for part in STATISTICS} | {f"{name}.num_batches_tracked": ()})
        elif norm == "gn":
            self.update({f"{name}.{part}": (features,) for part in STATISTICS[:2]})

    def unit(self, name, inputs, outputs, kernel):
        self.conv(f"{name}.0", inputs, outputs, kernel)
        self.normed(f"{name}.1", outputs)

    def residual(self, name, inputs, outputs, kernel, *, strided=False):
        at = f"{name}.conv.0" if "_se" in self.block else f"{name}.conv"
        for number, source in ((0, inputs), (1, outputs)):
            if self.block.endswith("_pa"):
                self.normed(f"{at}.{number}.0", source)
                self.conv(f"{at}.{number}.2", source, outputs, kernel)
            else:
                self.unit(f"{at}.{number}", source, outputs, kernel)
        if "_se" in self.block:
            narrow = outputs // (16 if self.flat else 4)
            self[f"{name}.conv.1.fc.0.weight"], self[f"{name}.conv.1.fc.2.weight"] = (narrow, outputs), (outputs, narrow)
        if strided or inputs != outputs:
            self.unit(f"{name}.projector", inputs, outputs, (1, 1, 1))


def unet(features, isotropy, *, whole=False, plus=False, channels=3, **more):
    made = Spelled(**more)
    cubic = [whole or i for i in isotropy]
    outer = (5, 5, 5) if whole else (1, 5, 5)
    made.unit("conv_in", 1, features[0], outer)
    made.conv("conv_out.0", features[0], channels, outer, bias=True)
    for i, feature in enumerate(features):
        kernel = (3, 3, 3) if cubic[i] else (1, 3, 3)
        made.unit(f"down_layers.{i}.1", features[max(0, i - 1)], feature, kernel)
        made.residual(f"down_layers.{i}.2", feature, feature, (1, 3, 3))
        if i:
            made.unit(f"up_layers.{i - 1}.0", feature, features[i - 1], kernel)
            made.residual(f"up_layers.{i - 1}.1", features[i - 1], features[i - 1], (1, 3, 3))
            if plus:
                made.unit(f"feat_layers.{i - 1}", features[-1], features[i - 1], (1, 1, 1))
    if plus:
        for part in ("g", "theta", "phi"):
            made.conv(f"non_local.{part}", features[-1], features[-1] // 2, (1, 1, 1), bias=True)
        made.conv("non_local.W.0", features[-1] // 2, features[-1], (1, 1, 1), bias=True)
        made.normed("non_local.W.1", features[-1])
    return dict(made)


def pyramid(backbone, features, isotropy, blocks, *, kernels=(3, 3, 5, 3, 3), attention=None, channels=2, **more):
    made = Spelled(**more)
    for i, feature in enumerate(features):
        made.unit(f"latlayers.{i}", feature, features[0], (1, 1, 1))
        made.unit(f"smooth.{i}", features[0], features[0], (3, 3, 3) if isotropy[i] else (1, 3, 3))
    made.conv("conv_out.0", features[0], channels, (5, 5, 5) if isotropy[0] else (1, 5, 5), bias=True)
    {"resnet": of_resnet, "repvgg": of_repvgg, "efficientnet": of_efficientnet}[backbone](
        made, features, isotropy, blocks, kernels, attention
    )
    return dict(made)


def of_resnet(made, features, isotropy, blocks, _kernels, _attention):
    made.unit("backbone.layer0", 1, features[0], (5, 5, 5) if isotropy[0] else (1, 5, 5))
    for stage in range(1, 5):
        for number in range(blocks[stage - 1]):
            source = features[stage - 1] if number == 0 else features[stage]
            kernel = (3, 3, 3) if isotropy[stage] else (1, 3, 3)
            made.residual(f"backbone.layer{stage}.{number}", source, features[stage], kernel, strided=number == 0)


def of_repvgg(made, features, isotropy, blocks, _kernels, _attention):
    source = 1
    for stage, count in enumerate([1, *blocks]):
        for number in range(count):
            at, kernel = f"backbone.layer{stage}.{number}", (3, 3, 3) if isotropy[stage] else (1, 3, 3)
            if made.block == "repvgg_deployed":
                made.conv(f"{at}.rbr_reparam", source, features[stage], kernel, bias=True)
            else:
                for branch, size in (("rbr_dense", kernel), ("rbr_1x1", (1, 1, 1))):
                    made.conv(f"{at}.{branch}.conv", source, features[stage], size)
                    made.normed(f"{at}.{branch}.bn", features[stage], "bn")
                if source == features[stage] and (number or not stage):
                    made.normed(f"{at}.rbr_identity", source, "bn")
            source = features[stage]


def of_efficientnet(made, features, isotropy, blocks, kernels, attention):
    dilated = made.block == "inverted_res_dilated"
    for number in range(4) if dilated else ():
        made.conv(f"backbone.conv1.conv.{number}", 1, features[0] // 4, (3, 3, 3))
    if not dilated:
        made.conv("backbone.conv1", 1, features[0], (3, 3, 3))
    made.normed("backbone.bn1", features[0])
    source = features[0]
    for stage, count in enumerate(blocks):
        size = kernels[stage]
        kernel = (size if isotropy[stage] else 1, size, size)
        for number in range(count):
            at, target = f"backbone.layer{stage}.{number}", features[stage]
            first = "layers1_a" if dilated else "layers1"
            made.conv(f"{at}.{first}.0", source, source, (1, 1, 1))
            made.normed(f"{at}.{first}.1", source)
            for part in range(4) if dilated else ():
                made.conv(f"{at}.DWConv.{part}", source // 4, source // 4, kernel, groups=source // 4)
            if not dilated:
                made.conv(f"{at}.layers1.3", source, source, kernel, groups=source)
            made.normed(f"{at}.layers1_b.0" if dilated else f"{at}.layers1.4", source)
            made.conv(f"{at}.layers2.0", source, target, (1, 1, 1))
            made.normed(f"{at}.layers2.1", target)
            attend(made, f"{at}.attention", source, attention)
            if stage and number == 0:
                made.unit(f"{at}.projector.1", source, target, (1, 1, 1))
            source = target


def attend(made, name, features, attention):
    if attention == "squeeze_excitation":
        made[f"{name}.fc.0.weight"], made[f"{name}.fc.2.weight"] = (features // 8, features), (features, features // 8)
        return
    axes = {"strip_pool": ("z", "y", "x"), "plane_pool": ("zy", "yx", "xz")}.get(attention, ())
    for each in axes:
        made.conv(f"{name}.conv_{each}", features, features // 4, [3 if axis in each else 1 for axis in "zyx"], bias=True)
    if axes:
        made.conv(f"{name}.conv1x1x1", features // 4, features, (1, 1, 1))


def spelled(design, channels, patch=(16, 32, 48)):
    return {name: tuple(tensor.shape) for name, tensor in build_from(design, channels, patch).state_dict().items()}


@pytest.mark.parametrize("norm", ["bn", "sync_bn", "gn", "in", "none"])
@pytest.mark.parametrize("block", ["residual", "residual_pa", "residual_se", "residual_se_pa"])
@pytest.mark.parametrize("plus", [False, True])
def test_u_nets_of_each_block_and_norm(block, norm, plus):
    features, isotropy = (8, 16, 24), [False, False, True]
    design = design_v1("v1_unet_plus_3d" if plus else "v1_unet_3d", features, isotropy, block=block, norm=norm)
    assert spelled(design, 3) == unet(features, isotropy, plus=plus, block=block, norm=norm)


@pytest.mark.parametrize("pooling", ["stride", "max"])
@pytest.mark.parametrize(
    ("features", "isotropy", "whole"),
    [
        ((8, 16), [True, False], False),
        ((8, 8, 16, 16, 24, 32), [False, True, False, True, True, True], False),
        ((28, 36, 48, 64), [False] * 4, True),
        ((8, 16, 24), [True] * 3, False),
    ],
)
def test_u_nets_of_several_depths_and_isotropies(features, isotropy, whole, pooling):
    for plus, channels in ((False, 1), (True, 12)):
        design = design_v1("v1_unet_plus_3d" if plus else "v1_unet_3d", features, isotropy, whole=whole, pooling=pooling)
        assert spelled(design, channels) == unet(features, isotropy, whole=whole, plus=plus, channels=channels)


@pytest.mark.parametrize(("norm", "block"), list(itertools.product(["bn", "gn", "in"], ["residual", "residual_se"])))
def test_u_nets_of_sections(norm, block):
    features = (16, 32, 48, 64)
    for plus in (False, True):
        design = design_v1("v1_unet_plus_2d" if plus else "v1_unet_2d", features, norm=norm, block=block, pooling="max")
        assert spelled(design, 2) == unet(features, [False] * 4, plus=plus, channels=2, norm=norm, block=block, flat=True)


PYRAMIDS = [
    ("resnet", {"block": "residual"}, [2, 2, 2, 2]),
    ("resnet", {"block": "residual_se", "norm": "gn"}, [1, 3, 1, 2]),
    ("repvgg", {"block": "repvgg"}, [2, 2, 2, 2]),
    ("repvgg", {"block": "repvgg_deployed", "norm": "gn"}, [1, 2, 3, 1]),
    ("efficientnet", {"block": "inverted_res", "attention": "squeeze_excitation"}, [1, 2, 2, 2, 4]),
    ("efficientnet", {"block": "inverted_res", "attention": "strip_pool", "norm": "gn"}, [2, 1, 1, 1, 1]),
    ("efficientnet", {"block": "inverted_res_dilated", "attention": "plane_pool"}, [1, 2, 1, 1, 2]),
    ("efficientnet", {"block": "inverted_res_dilated", "attention": "none", "norm": "in"}, [1, 1, 1, 1, 1]),
]


@pytest.mark.parametrize(
    "isotropy", [[False, False, False, True, True], [True] * 5, [False] * 5, [True, False, True, False, True]]
)
@pytest.mark.parametrize(("backbone", "how", "blocks"), PYRAMIDS)
def test_feature_pyramids_of_each_backbone(backbone, how, blocks, isotropy):
    features = (16, 16, 24, 32, 40)
    given = blocks if backbone == "efficientnet" else [1, *blocks]
    design = design_v1("v1_fpn_3d", features, isotropy, backbone=backbone, blocks=given, **how)
    assert spelled(design, 2) == pyramid(backbone, features, isotropy, blocks, **how)

"""v1's architectures as networks of a plan."""

from __future__ import annotations

from typing import Any, get_args

from pytc_auto.errors import PlanError
from pytc_auto.geometry import Zyx
from pytc_auto.legacy.config import V1Config, refuse
from pytc_auto.schema.network_v1 import BOTNET_BLOCKS, FPN_STAGES, Attention, V1Kind, stages_v1

Raw = dict[str, Any]
KINDS: dict[str, V1Kind] = {
    "unet_3d": "v1_unet_3d",
    "unet_2d": "v1_unet_2d",
    "fpn_3d": "v1_fpn_3d",
    "unet_plus_3d": "v1_unet_plus_3d",
    "unet_plus_2d": "v1_unet_plus_2d",
}
"""Of v1's MODEL_MAP: those whose weights are carried over."""
OTHERS = ("deeplabv3a", "deeplabv3b", "deeplabv3c", "unetr", "swinunetr")
"""The rest of it."""
TRANSFORMERS: dict[str, tuple[str, int]] = {"swinunetr": ("swin_unetr", 6), "unetr": ("unetr", 5)}
"""Ours of the same name, and its stages."""


def carried_over(config: V1Config) -> bool:
    """Whether weights of its architecture can be used."""
    return config["MODEL.ARCHITECTURE"] in KINDS


def translate_network(config: V1Config, patch: Zyx, where: str) -> tuple[Raw, list[tuple[str, str]]]:
    """A network as a plan has it, and what happens instead of the values of some keys.

    An architecture that is not carried over becomes the nearest of our kinds, so that the plan can be trained.

    Raises:
        PlanError: v1 has no such architecture; or it takes images of several channels.
    """
    name = config["MODEL.ARCHITECTURE"]
    if name not in KINDS and name not in OTHERS:
        refuse(where, "AssertionError", f"MODEL.ARCHITECTURE {name} is not among {', '.join([*KINDS, *OTHERS])}")
    if config["MODEL.IN_PLANES"] != 1:
        planes = config["MODEL.IN_PLANES"]
        raise PlanError(f"{where}: MODEL.IN_PLANES is {planes}, but volumes have one channel here. It cannot be carried over.")
    if name in KINDS:
        return _v1_network(config, KINDS[name], where)
    if name in TRANSFORMERS:
        kind, stages = TRANSFORMERS[name]
        told = f"a new {kind} is planned; weights of v1's are not carried over"
        return _transformer(config, kind, stages), [("MODEL.ARCHITECTURE", told)]
    told = f"a new unet is planned in place of {name}, whose weights are not carried over"
    return _flat_unet(patch), [("MODEL.ARCHITECTURE", told)]


def _v1_network(config: V1Config, kind: V1Kind, where: str) -> tuple[Raw, list[tuple[str, str]]]:
    features, told = list(config["MODEL.FILTERS"]), []
    backbone = config["MODEL.BACKBONE"] if kind == "v1_fpn_3d" else None
    efficient = backbone == "efficientnet"
    if efficient and len(config["MODEL.KERNEL_SIZES"]) < FPN_STAGES:
        refuse(where, "IndexError", f"list index out of range: MODEL.KERNEL_SIZES {config['MODEL.KERNEL_SIZES']}")
    if backbone and config["MODEL.POOLING_LAYER"]:
        told.append(("MODEL.POOLING_LAYER", "had no effect on fpn_3d, which is made coarser by strides"))
    blocks = [1] * len(features) if backbone is None else _blocks(config, backbone, told)
    stages = stages_v1(
        kind,
        _isotropy(config, kind, len(features), where),
        sizes=config["MODEL.KERNEL_SIZES"][:FPN_STAGES] if efficient else None,
        whole=bool(config["DATASET.IS_ISOTROPIC"]),
    )
    return {
        "kind": kind,
        "features": features,
        "strides": stages.strides,
        "kernels": stages.kernels,
        "blocks": blocks,
        "outer": stages.outer,
        "block": _block(config, backbone),
        "norm": config["MODEL.NORM_MODE"],
        "activation": config["MODEL.ACT_MODE"],
        "padding": config["MODEL.PAD_MODE"],
        "pooling": "max" if config["MODEL.POOLING_LAYER"] and not backbone else "stride",
        "backbone": backbone,
        "attention": _attention(config) if efficient else None,
    }, told


def _isotropy(config: V1Config, kind: V1Kind, stages: int, where: str) -> list[bool]:
    """Whether each stage is isotropic; networks in 2D did not look at it.

    Raises:
        PlanError: There is not one entry for each of FILTERS; or a feature pyramid has not five stages.
    """
    if kind.endswith("_2d"):
        return [False] * stages
    given = config["MODEL.ISOTROPY"]
    if len(given) != stages:
        refuse(where, "AssertionError", f"MODEL.FILTERS has {stages} entries, MODEL.ISOTROPY has {len(given)}")
    if kind == "v1_fpn_3d" and stages != FPN_STAGES:
        refuse(where, "AssertionError", f"MODEL.FILTERS has {stages} entries, fpn_3d has {FPN_STAGES} stages")
    return [bool(isotropic) for isotropic in given]


def _blocks(config: V1Config, backbone: str, told: list[tuple[str, str]]) -> list[int]:
    """Of a backbone's stages. An efficientnet's first one has as many as BLOCKS says, that of others is a single convolution."""
    given = list(config["MODEL.BLOCKS"])
    if backbone != "efficientnet":
        blocks = [1, *given[: FPN_STAGES - 1]]
        return [*blocks[:-1], BOTNET_BLOCKS] if backbone == "botnet" else blocks
    if len(given) == FPN_STAGES - 1:
        given = [1, *given]
        text = f"v1 itself fails with four numbers for the five stages of efficientnet; {given} are planned. Give five"
        told.append(("MODEL.BLOCKS", text))
    return given[:FPN_STAGES]


def _attention(config: V1Config) -> str:
    """v1 took any name that it did not know for none."""
    name = config["MODEL.ATTENTION"]
    return name if name in get_args(Attention) else "none"


def _block(config: V1Config, backbone: str | None) -> str:
    """A RepVGG has blocks of its own, whatever BLOCK_TYPE is."""
    if backbone == "repvgg":
        return "repvgg_deployed" if config["MODEL.DEPLOY_MODE"] else "repvgg"
    return str(config["MODEL.BLOCK_TYPE"])


def _transformer(config: V1Config, kind: str, stages: int) -> Raw:
    if kind == "swin_unetr":
        size, depths = config["MODEL.SWIN_UNETR_FEATURE_SIZE"], list(config["MODEL.DEPTHS"])
        features, blocks = [size * times for times in (1, 1, 2, 4, 8, 16)], [1, *depths, 1]
    else:
        size = config["MODEL.UNETR_FEATURE_SIZE"]
        features, blocks = [*(size * times for times in (1, 2, 4, 8)), config["MODEL.HIDDEN_SIZE"]], [1, 1, 1, 1, 12]
    strides = [[1, 1, 1], *[[2, 2, 2]] * (stages - 1)]
    return {"kind": kind, "features": features, "strides": strides, "kernels": [[3, 3, 3]] * stages, "blocks": blocks}


def _flat_unet(patch: Zyx) -> Raw:
    """For sections; as many stages as the patch has room for."""
    stages = max(2, min(5, min(patch[1:]).bit_length() - 3))
    features = [32 * 2**stage for stage in range(stages)]
    strides = [[1, 1, 1], *[[1, 2, 2]] * (stages - 1)]
    return {"kind": "unet", "features": features, "strides": strides, "kernels": [[1, 3, 3]] * stages, "blocks": [2] * stages}

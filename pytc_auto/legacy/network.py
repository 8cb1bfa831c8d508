"""v1's architectures as networks of a plan."""

from __future__ import annotations

from typing import Any

from pytc_auto.errors import PlanError
from pytc_auto.geometry import Zyx
from pytc_auto.legacy.config import V1Config, refuse
from pytc_auto.schema.network_v1 import V1Kind, stages_v1

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
        return _v1_network(config, KINDS[name]), []
    if name in TRANSFORMERS:
        kind, stages = TRANSFORMERS[name]
        told = f"a new {kind} is planned; weights of v1's are not carried over"
        return _transformer(config, kind, stages), [("MODEL.ARCHITECTURE", told)]
    told = f"a new unet is planned in place of {name}, whose weights are not carried over"
    return _flat_unet(patch), [("MODEL.ARCHITECTURE", told)]


def _v1_network(config: V1Config, kind: V1Kind) -> Raw:
    features = list(config["MODEL.FILTERS"])
    backbone = config["MODEL.BACKBONE"] if kind == "v1_fpn_3d" else None
    efficient = backbone == "efficientnet"
    stages = stages_v1(
        kind,
        [bool(i) for i in config["MODEL.ISOTROPY"]][: len(features)],
        sizes=config["MODEL.KERNEL_SIZES"] if efficient else None,
        whole=bool(config["DATASET.IS_ISOTROPIC"]),
    )
    return {
        "kind": kind,
        "features": features,
        "strides": stages.strides,
        "kernels": stages.kernels,
        "blocks": [1, *config["MODEL.BLOCKS"]] if backbone else [1] * len(features),
        "outer": stages.outer,
        "block": _block(config, backbone),
        "norm": config["MODEL.NORM_MODE"],
        "activation": config["MODEL.ACT_MODE"],
        "padding": config["MODEL.PAD_MODE"],
        "pooling": "max" if config["MODEL.POOLING_LAYER"] and not backbone else "stride",
        "backbone": backbone,
        "attention": (config["MODEL.ATTENTION"] or "none") if efficient else None,
    }


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

"""v1's augmentations as effects of a plan: voxels become nanometers, and chances per crop become chances per section."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytc_auto.geometry import Zyx, ZyxFloat
from pytc_auto.legacy.config import V1Config

Raw = dict[str, Any]
RESCALED = 0.25
"""v1 scaled by 0.8 to 1.25."""
GRAY = 0.3
"""v1 changed contrast and brightness by at most this, of the whole range; gamma by a factor of at most 2."""
TURNED = 5.0
"""Degrees by which v1's misaligned sections turned, at most."""
NORMALIZED = 2.0
"""Gray values that v1 varied lay in 0 … 1; what the network sees is twice as wide."""
MOST_BEND = 5.1
"""Voxels between points that are displaced, per voxel of displacement, at least."""
TOGETHER = "crops are flipped and turned together, by any symmetry of the geometry, each as likely"


@dataclass(frozen=True)
class _Crop:
    """What the effects are scaled by."""

    config: V1Config
    voxel_size_nm: ZyxFloat
    patch: Zyx

    def get(self, effect: str, name: str) -> float:
        """A number of an effect."""
        return float(self.config[f"AUGMENTOR.{effect}.{name}"] or 0)

    def chance(self, effect: str) -> float:
        """Per crop."""
        return min(1.0, max(0.0, self.get(effect, "P")))

    def chance_of_section(self, effect: str, sections: float) -> float:
        """Per section, where so many of a crop are meant."""
        return min(1.0, self.chance(effect) * sections / self.patch[0])

    @property
    def in_plane_nm(self) -> float:
        """Voxel size in the plane."""
        return min(self.voxel_size_nm[1:])

    def box_nm(self, effect: str) -> float:
        """Edge of a box as long as a share of the crop in the plane."""
        return max(1.0, self.get(effect, "LENGTH_RATIO") * min(self.patch[1:])) * self.in_plane_nm


@dataclass(frozen=True)
class Varied:
    """How crops are varied.

    Attributes:
        symmetric: Whether they are flipped and turned by right angles.
        effects: Those that are on, as a plan has them.
        told: Of a key's value, what happens instead.
    """

    symmetric: bool
    effects: dict[str, Raw]
    told: list[tuple[str, str]]


def translate_augmentation(config: V1Config, voxel_size_nm: ZyxFloat, patch: Zyx) -> Varied:
    """v1's augmentations as effects; of single sections none that is of stacks."""
    if not config["AUGMENTOR.ENABLED"]:
        return Varied(False, {}, [])
    crop = _Crop(config, voxel_size_nm, patch)
    on = [name for name in _MAKERS if config[f"AUGMENTOR.{name}.ENABLED"] and crop.chance(name) > 0]
    single = patch[0] == 1
    made = [(name, _MAKERS[name](crop)) for name in on if not (single and name in _OF_STACKS)]
    flips = any(config[f"AUGMENTOR.{name}.ENABLED"] for name in ("FLIP", "ROTATE"))
    effects: dict[str, Raw] = {}
    for _, found in made:
        for kind, effect in found.items():
            effects[kind] = {**effects.get(kind, {}), **effect}
    return Varied(flips, effects, [(key, text) for key, text in _TOLD.items() if config.is_changed(key)])


def _rescale(crop: _Crop) -> dict[str, Raw]:
    return {"affine": {"probability": crop.chance("RESCALE"), "rotation_degrees": [0.0, 0.0, 0.0], "scale": RESCALED}}


def _rotate(crop: _Crop) -> dict[str, Raw]:
    """By any angle about z where not by right angles alone."""
    if crop.config["AUGMENTOR.ROTATE.ROT90"]:
        return {}
    scale = RESCALED if crop.config["AUGMENTOR.RESCALE.ENABLED"] else 0.0
    return {"affine": {"probability": crop.chance("ROTATE"), "rotation_degrees": [180.0, 0.0, 0.0], "scale": scale}}


def _elastic(crop: _Crop) -> dict[str, Raw]:
    """v1 smoothed uniform noise by sigma and multiplied it by alpha."""
    alpha, sigma = crop.get("ELASTIC", "ALPHA"), max(0.5, crop.get("ELASTIC", "SIGMA"))
    displacement = alpha / math.sqrt(3) / (2 * math.sqrt(math.pi) * sigma)
    grid = max(2 * sigma, MOST_BEND * displacement)
    lengths = {"grid_nm": _nm(grid * crop.in_plane_nm), "displacement_nm": _nm(displacement * crop.in_plane_nm)}
    return {"elastic": {"probability": crop.chance("ELASTIC"), **lengths}}


def _gray(crop: _Crop) -> dict[str, Raw]:
    brightness = GRAY / 2 * NORMALIZED
    return {"intensity": {"probability": crop.chance("GRAYSCALE"), "contrast": GRAY / 2, "brightness": brightness, "gamma": 1.0}}


def _missing_parts(crop: _Crop) -> dict[str, Raw]:
    return {"missing_section": {"probability": crop.chance_of_section("MISSINGPARTS", 1), "kinds": ["partial"]}}


def _missing_section(crop: _Crop) -> dict[str, Raw]:
    return {"dropped_section": {"probability": crop.chance("MISSINGSECTION")}}


def _misalignment(crop: _Crop) -> dict[str, Raw]:
    turned = TURNED if crop.get("MISALIGNMENT", "ROTATE_RATIO") > 0 else 0.0
    shift = crop.get("MISALIGNMENT", "DISPLACEMENT") * crop.in_plane_nm
    return {"section_shift": {"probability": crop.chance("MISALIGNMENT"), "shift_nm": _nm(shift), "rotation_degrees": turned}}


def _motion_blur(crop: _Crop) -> dict[str, Raw]:
    sections = crop.config["AUGMENTOR.MOTIONBLUR.SECTIONS"]
    count = float(max(sections) if isinstance(sections, list | tuple) and sections else sections or 1)
    length = max(1.0, crop.get("MOTIONBLUR", "KERNEL_SIZE")) * crop.in_plane_nm
    return {"motion_blur": {"probability": crop.chance_of_section("MOTIONBLUR", count), "length_nm": _nm(length)}}


def _cut_blur(crop: _Crop) -> dict[str, Raw]:
    factor = max(1.1, crop.get("CUTBLUR", "DOWN_RATIO_MAX"))
    size = _nm(crop.box_nm("CUTBLUR"))
    return {"cut_blur": {"probability": crop.chance("CUTBLUR"), "count": 1, "size_nm": size, "factor": factor}}


def _cut_noise(crop: _Crop) -> dict[str, Raw]:
    """v1's noise was uniform."""
    sigma = crop.get("CUTNOISE", "SCALE") * NORMALIZED / math.sqrt(3)
    size = _nm(crop.box_nm("CUTNOISE"))
    return {"cut_noise": {"probability": crop.chance("CUTNOISE"), "count": 1, "size_nm": size, "sigma": round(abs(sigma), 4)}}


def _copy_paste(crop: _Crop) -> dict[str, Raw]:
    return {"copy_paste": {"probability": crop.chance("COPYPASTE"), "count": 1}}


def _nothing(_: _Crop) -> dict[str, Raw]:
    """Flips are among the symmetries."""
    return {}


def _nm(length: float) -> float:
    return round(float(length), 3)


_MAKERS: dict[str, Callable[[_Crop], dict[str, Raw]]] = {
    "FLIP": _nothing,
    "RESCALE": _rescale,
    "ROTATE": _rotate,
    "ELASTIC": _elastic,
    "GRAYSCALE": _gray,
    "MISSINGPARTS": _missing_parts,
    "MISSINGSECTION": _missing_section,
    "MISALIGNMENT": _misalignment,
    "MOTIONBLUR": _motion_blur,
    "CUTBLUR": _cut_blur,
    "CUTNOISE": _cut_noise,
    "COPYPASTE": _copy_paste,
}
_TOLD = {
    "AUGMENTOR.ROTATE.ENABLED": TOGETHER,
    "AUGMENTOR.ROTATE.P": TOGETHER,
    "AUGMENTOR.FLIP.ENABLED": TOGETHER,
    "AUGMENTOR.FLIP.P": TOGETHER,
    "AUGMENTOR.MISALIGNMENT.ROTATE_RATIO": f"sections turn by at most {TURNED:g} degrees; at 0 they do not",
}
_OF_STACKS = ("MISSINGSECTION", "MISALIGNMENT", "MISSINGPARTS", "MOTIONBLUR")
"""Not done to single sections."""

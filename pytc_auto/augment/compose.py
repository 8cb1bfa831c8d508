"""All effects of a crop: drawn first, so that as much is read as they need, then applied.

The order is symmetry, affine and elastic deformation, section shift, dropped section, copied objects, gray values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytc_auto.augment.affine import draw_affine
from pytc_auto.augment.copy_paste import PasteDraw, apply_copy_paste, draw_copy_paste
from pytc_auto.augment.crop import Crop, Image
from pytc_auto.augment.dropped_section import DroppedDraw, apply_dropped_section, draw_dropped_section, dropped_margin
from pytc_auto.augment.effects import GRAY_EFFECTS
from pytc_auto.augment.elastic import draw_elastic
from pytc_auto.augment.place import Place
from pytc_auto.augment.section_shift import ShiftDraw, apply_section_shift, draw_section_shift, shift_margin
from pytc_auto.augment.symmetry import apply_symmetry, draw_symmetry
from pytc_auto.augment.warp import Warp, apply_warp, warp_margin
from pytc_auto.geometry import Box, Symmetry, Zyx, ZyxFloat, cutting_axis, zyx
from pytc_auto.schema.augmentation import Augmentation, Effects


@dataclass(frozen=True)
class Draw:
    """What happens to one crop; None is an effect that does not happen.

    Attributes:
        patch: Shape of the result.
        gray: Effects on gray values that happen, by name, in order.
    """

    patch: Zyx
    symmetry: Symmetry
    warp: Warp | None = None
    section_shift: ShiftDraw | None = None
    dropped_section: DroppedDraw | None = None
    copy_paste: tuple[PasteDraw, ...] | None = None
    gray: tuple[tuple[str, Any], ...] = ()

    @property
    def before_drop(self) -> Zyx:
        """Shape from which a section is dropped."""
        return _wider(self.patch, dropped_margin(self.dropped_section)) if self.dropped_section else self.patch

    @property
    def before_shift(self) -> Zyx:
        """Shape in which sections are shifted."""
        inner = self.before_drop
        return _wider(inner, shift_margin(self.section_shift, inner)) if self.section_shift else inner

    @property
    def before_warp(self) -> Zyx:
        """Shape that is deformed."""
        inner = self.before_shift
        return _wider(inner, warp_margin(self.warp, inner)) if self.warp else inner


def draw_effects(
    augmentation: Augmentation,
    symmetries: Sequence[Symmetry],
    voxel_size_nm: ZyxFloat,
    patch: Zyx,
    rng: np.random.Generator,
) -> Draw:
    """Draw what happens to a crop.

    Args:
        augmentation: From the plan.
        symmetries: Of which one is drawn; each must map patch and voxel size onto themselves.
        voxel_size_nm: Of the patch, z, y, x.
        patch: Shape of the result.
        rng: The only source of randomness.
    """
    effects: Effects = augmentation.effects
    symmetry = draw_symmetry(symmetries, rng)
    place = Place(patch, voxel_size_nm, symmetry.axes.index(cutting_axis(voxel_size_nm)))
    matrix = draw_affine(effects.affine, place, rng) if effects.affine else None
    elastic = draw_elastic(effects.elastic, place, rng) if effects.elastic else None
    named = ((name, getattr(effects, name)) for name in GRAY_EFFECTS)
    drawn = ((name, GRAY_EFFECTS[name].draw(effect, place, rng)) for name, effect in named if effect is not None)
    return Draw(
        patch=patch,
        symmetry=symmetry,
        warp=Warp(matrix, elastic) if matrix is not None or elastic is not None else None,
        section_shift=draw_section_shift(effects.section_shift, place, rng) if effects.section_shift else None,
        dropped_section=draw_dropped_section(effects.dropped_section, place, rng) if effects.dropped_section else None,
        copy_paste=draw_copy_paste(effects.copy_paste, place, rng) if effects.copy_paste else None,
        gray=tuple((name, draw) for name, draw in drawn if draw is not None),
    )


def source_box(draw: Draw, box: Box) -> Box:
    """Give what has to be read for a patch: its box with room for what is moved, turned or bent into it."""
    margin = [(n - k) // 2 for n, k in zip(draw.before_warp, draw.patch, strict=True)]
    return box.grow(draw.symmetry.inverse.permute(margin))


def apply_effects(crop: Crop, draw: Draw) -> Crop:
    """Apply what was drawn.

    Args:
        crop: Of the shape of ``source_box``.
        draw: From ``draw_effects``.

    Returns:
        A crop of the drawn patch's shape.

    Raises:
        ValueError: The crop is not of that shape.
    """
    wanted = source_box(draw, Box.of_shape(draw.patch)).shape
    if crop.shape != wanted:
        raise ValueError(f"the drawn effects need a crop of {wanted} voxels, got {crop.shape}")
    moved = _moved(apply_symmetry(crop, draw.symmetry), draw)
    image, labels, unlabeled = (np.ascontiguousarray(a) for a in (moved.image_zyx, moved.labels_zyx, moved.unlabeled_zyx))
    return Crop(_gray(image, draw), labels, unlabeled)


def augment(
    crop: Crop,
    augmentation: Augmentation,
    symmetries: Sequence[Symmetry],
    voxel_size_nm: ZyxFloat,
    rng: np.random.Generator,
) -> Crop:
    """Vary a crop of which no surroundings are at hand: the image is reflected at its rim, what comes in is unlabeled."""
    draw = draw_effects(augmentation, symmetries, voxel_size_nm, crop.shape, rng)
    box = Box.of_shape(crop.shape)
    margin = zyx([a - b for a, b in zip(box.start, source_box(draw, box).start, strict=True)])
    return apply_effects(crop.padded(margin) if any(margin) else crop, draw)


def _moved(crop: Crop, draw: Draw) -> Crop:
    """The effects on image and labels, from the outermost shape to the patch."""
    if draw.warp is not None:
        crop = apply_warp(crop, draw.warp, draw.before_shift)
    if draw.section_shift is not None:
        crop = apply_section_shift(crop, draw.section_shift, draw.before_drop)
    if draw.dropped_section is not None:
        crop = apply_dropped_section(crop, draw.dropped_section, draw.patch)
    return apply_copy_paste(crop, draw.copy_paste) if draw.copy_paste is not None else crop


def _gray(image_zyx: Image, draw: Draw) -> Image:
    """The effects on gray values."""
    for name, drawn in draw.gray:
        image_zyx = GRAY_EFFECTS[name].apply(image_zyx, drawn)
    return image_zyx


def _wider(shape: Zyx, margin: Zyx) -> Zyx:
    return zyx([n + 2 * m for n, m in zip(shape, margin, strict=True)])

"""All effects of a crop: drawn first, so that as much is read as they need, then applied.

The order is symmetry, affine, section shift, gray values, section intensity, missing section, blur, noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pytc_auto.augment.affine import Matrix, affine_margin, apply_affine, draw_affine
from pytc_auto.augment.blur import apply_blur, draw_blur
from pytc_auto.augment.crop import Crop, Image
from pytc_auto.augment.gray_values import GrayDraw, apply_gray_values, draw_gray_values
from pytc_auto.augment.missing_section import MissingDraw, apply_missing_section, draw_missing_section
from pytc_auto.augment.noise import NoiseDraw, apply_noise, draw_noise
from pytc_auto.augment.section_intensity import SectionGrayDraw, apply_section_intensity, draw_section_intensity
from pytc_auto.augment.section_shift import ShiftDraw, apply_section_shift, draw_section_shift, shift_margin
from pytc_auto.augment.symmetry import apply_symmetry, draw_symmetry
from pytc_auto.geometry import Box, Symmetry, Zyx, ZyxFloat, zyx
from pytc_auto.schema.plan import Augmentation, Effects


@dataclass(frozen=True)
class Draw:
    """What happens to one crop; None is an effect that does not happen.

    Attributes:
        patch: Shape of the result.
        blur: Sigma in voxels, z, y, x.
    """

    patch: Zyx
    symmetry: Symmetry
    affine: Matrix | None
    section_shift: ShiftDraw | None
    gray_values: GrayDraw | None
    section_intensity: SectionGrayDraw | None
    missing_section: MissingDraw | None
    blur: ZyxFloat | None
    noise: NoiseDraw | None


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
    return Draw(
        patch=patch,
        symmetry=draw_symmetry(symmetries, rng),
        affine=draw_affine(effects.affine, voxel_size_nm, rng) if effects.affine else None,
        section_shift=draw_section_shift(effects.section_shift, patch, voxel_size_nm, rng) if effects.section_shift else None,
        gray_values=draw_gray_values(effects.intensity, rng) if effects.intensity else None,
        section_intensity=draw_section_intensity(effects.section_intensity, patch, voxel_size_nm, rng)
        if effects.section_intensity
        else None,
        missing_section=draw_missing_section(effects.missing_section, patch, voxel_size_nm, rng)
        if effects.missing_section
        else None,
        blur=draw_blur(effects.blur, voxel_size_nm, rng) if effects.blur else None,
        noise=draw_noise(effects.noise, rng) if effects.noise else None,
    )


def source_box(draw: Draw, box: Box) -> Box:
    """Give what has to be read for a patch: its box with room for shifted sections and for the corners of a turned patch."""
    margin = [a + b for a, b in zip(_shift_margin(draw), _affine_margin(draw), strict=True)]
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
    moved = apply_symmetry(crop, draw.symmetry)
    if draw.affine is not None:
        shape = zyx([n + 2 * m for n, m in zip(draw.patch, _shift_margin(draw), strict=True)])
        moved = apply_affine(moved, draw.affine, shape)
    if draw.section_shift is not None:
        moved = apply_section_shift(moved, draw.section_shift)
    return moved.with_image(_gray(np.ascontiguousarray(moved.image_zyx), draw))


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


def _gray(image_zyx: Image, draw: Draw) -> Image:
    """The effects on gray values."""
    if draw.gray_values is not None:
        image_zyx = apply_gray_values(image_zyx, draw.gray_values)
    if draw.section_intensity is not None:
        image_zyx = apply_section_intensity(image_zyx, draw.section_intensity)
    if draw.missing_section is not None:
        image_zyx = apply_missing_section(image_zyx, draw.missing_section)
    if draw.blur is not None:
        image_zyx = apply_blur(image_zyx, draw.blur)
    if draw.noise is not None:
        image_zyx = apply_noise(image_zyx, draw.noise)
    return image_zyx


def _shift_margin(draw: Draw) -> Zyx:
    return shift_margin(draw.section_shift) if draw.section_shift else (0, 0, 0)


def _affine_margin(draw: Draw) -> Zyx:
    """Room for the turned patch beyond the one for shifted sections."""
    if draw.affine is None:
        return (0, 0, 0)
    shape = zyx([n + 2 * m for n, m in zip(draw.patch, _shift_margin(draw), strict=True)])
    return affine_margin(draw.affine, shape)

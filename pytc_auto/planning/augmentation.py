"""How crops are varied: symmetries that the geometry allows, and effects that the microscope makes."""

from __future__ import annotations

from pytc_auto.geometry import FLAT_FROM, SECTIONS_FROM, Zyx, ZyxFloat, anisotropy, cutting_axis
from pytc_auto.planning.decisions import Decision, rounded
from pytc_auto.schema.augmentation import (
    Affine,
    Artifact,
    Augmentation,
    Blur,
    CoarseAxis,
    CopyPaste,
    CutBlur,
    CutNoise,
    Dropout,
    DroppedSection,
    Effects,
    Elastic,
    Fold,
    GrayValues,
    HistogramShift,
    LowResolution,
    Missing,
    MissingSection,
    MotionBlur,
    Noise,
    OutOfFocus,
    SectionGrayValues,
    SectionShift,
    Stripes,
)
from pytc_auto.schema.fingerprint import Fingerprint, SectionFacts

TILT_DEGREES = 15.0
LEAST_RATE, MOST_RATE = 0.02, 0.1
"""Of a defect that sections have, per section."""
SHIFT_VOXELS, MOST_SHIFT_VOXELS = 5.0, 17.0
"""Where sections were not compared, and at most; the latter as in Lee et al. 2017 (arXiv:1706.00120)."""
LEAST_CONTRAST, MOST_CONTRAST = 0.1, 0.5
ALWAYS = ("affine", "intensity", "blur", "noise")
SECTIONED = ("section_shift", "section_intensity", "missing_section")


def choose_augmentation(fingerprint: Fingerprint, voxel_size_nm: ZyxFloat, patch: Zyx, symmetries: int) -> Decision[Augmentation]:
    """Section effects for thin-section data; defects that were measured for any.

    Args:
        fingerprint: Says how sections differ.
        voxel_size_nm: Of the working grid.
        patch: On that grid. A plate is not tilted: most of what it would show lies outside of the volume.
        symmetries: Order of the group.
    """
    facts, ratio = fingerprint.sections, anisotropy(voxel_size_nm)
    sectioned = ratio >= SECTIONS_FROM
    names = {*ALWAYS, *(SECTIONED if sectioned else ()), *_measured(facts)}
    every = every_effect(facts, voxel_size_nm, patch)
    effects = Effects(**{name: getattr(every, name) for name in Effects.model_fields if name in names})
    rule = "augmentation.sections" if sectioned else "augmentation.isotropic"
    numbers = {"anisotropy": rounded(ratio), "mean_drift": facts.mean_drift, "std_drift": facts.std_drift}
    numbers |= {"missing_rate": facts.missing_rate, "duplicate_rate": facts.duplicate_rate, "blurred_rate": facts.blurred_rate}
    numbers |= {"shift_p95_nm": facts.shift_nm["p95"] if facts.shift_nm else None, "symmetries": symmetries}
    return Decision(Augmentation(symmetries=symmetries, effects=effects), rule, dict(numbers))


def _measured(facts: SectionFacts) -> list[str]:
    """Defects of single sections that the data have."""
    found = {"missing_section": (facts.missing_rate or 0) + (facts.duplicate_rate or 0), "out_of_focus": facts.blurred_rate or 0}
    return [name for name, rate in found.items() if rate > 0]


def every_effect(facts: SectionFacts, voxel_size_nm: ZyxFloat, patch: Zyx) -> Effects:
    """All effects that there are, as strong as they should be for these data.

    Rates of defects are twice the measured ones; lengths that are not measured follow the finest voxel.
    """
    fine = min(voxel_size_nm)
    coarse = max(voxel_size_nm)
    return Effects(
        affine=Affine(probability=0.2, rotation_degrees=_rotation(voxel_size_nm, patch), scale=0.15),
        elastic=Elastic(probability=0.2, grid_nm=rounded(32 * fine), displacement_nm=rounded(2.5 * fine)),
        section_shift=SectionShift(probability=0.2, shift_nm=_shift(facts, fine)),
        dropped_section=DroppedSection(probability=0.1),
        copy_paste=CopyPaste(probability=0.3, count=3),
        intensity=GrayValues(probability=0.5, contrast=0.2, brightness=0.2, gamma=0.2),
        histogram_shift=HistogramShift(probability=0.1, points=8),
        section_intensity=SectionGrayValues(
            probability=0.5, contrast=_contrast(facts.std_drift), brightness=_drift(facts.mean_drift)
        ),
        stripes=Stripes(probability=0.05, strength=0.4, width_nm=rounded(6 * fine)),
        low_resolution=LowResolution(probability=0.1, factor=2.0),
        coarse_axis=CoarseAxis(probability=0.1, thickness_nm=rounded(2 * coarse)),
        blur=Blur(probability=0.1, sigma_nm=rounded(fine)),
        out_of_focus=OutOfFocus(probability=_rate(facts.blurred_rate), sigma_nm=rounded(2 * fine)),
        motion_blur=MotionBlur(probability=0.02, length_nm=rounded(8 * fine)),
        cut_blur=CutBlur(probability=0.1, count=3, size_nm=rounded(32 * fine), factor=4.0),
        fold=Fold(probability=0.02, width_nm=rounded(8 * fine)),
        artifact=Artifact(probability=0.02, size_nm=rounded(40 * fine), strength=2.0),
        missing_section=MissingSection(probability=_rate(facts.missing_rate), kinds=_kinds(facts)),
        dropout=Dropout(probability=0.1, count=3, size_nm=rounded(24 * fine)),
        noise=Noise(probability=0.3, sigma=0.15),
        cut_noise=CutNoise(probability=0.1, count=3, size_nm=rounded(32 * fine), sigma=0.5),
    )


def _rotation(voxel_size_nm: ZyxFloat, patch: Zyx) -> tuple[float, float, float]:
    """About all axes, about the cutting axis only, or with small tilts between; about an axis as the patch has room to turn."""
    ratio, cut = anisotropy(voxel_size_nm), cutting_axis(voxel_size_nm)
    tilt = 180.0 if ratio < SECTIONS_FROM else 0.0 if ratio >= FLAT_FROM else TILT_DEGREES
    extents = [n * s for n, s in zip(patch, voxel_size_nm, strict=True)]
    about = []
    for axis in range(3):
        shorter, longer = sorted(extents[:axis] + extents[axis + 1 :])
        room = 180.0 if 2 * shorter >= longer else TILT_DEGREES if 4 * shorter >= longer else 0.0
        about.append(min(room, 180.0 if axis == cut else tilt))
    return about[0], about[1], about[2]


def _shift(facts: SectionFacts, fine: float) -> float:
    """The measured 95th percentile of the shift from section to section, between 1 and 17 voxels."""
    measured = SHIFT_VOXELS * fine if facts.shift_nm is None else facts.shift_nm["p95"]
    return rounded(min(MOST_SHIFT_VOXELS * fine, max(fine, measured)))


def _contrast(drift: float | None) -> float:
    """Twice the measured change of contrast from section to section."""
    return LEAST_CONTRAST if drift is None else rounded(min(MOST_CONTRAST, max(LEAST_CONTRAST, 2 * drift)))


def _kinds(facts: SectionFacts) -> list[Missing]:
    """What stands in the place of a lost section; a copy of its neighbor where the data have such."""
    return ["blank", "partial", "duplicated"] if facts.duplicate_rate else ["blank", "partial"]


def _rate(rate: float | None) -> float:
    """Twice the measured rate, within what teaches and does not spoil."""
    return rounded(min(MOST_RATE, max(LEAST_RATE, 2 * (rate or 0.0))))


def _drift(drift: float | None) -> float:
    """Brightness per section in standard deviations: twice what was measured."""
    return rounded(min(0.5, 2 * drift)) if drift else 0.1

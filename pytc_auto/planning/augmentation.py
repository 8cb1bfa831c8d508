"""How crops are varied: symmetries that the geometry allows, and effects that the microscope makes."""

from __future__ import annotations

from pytc_auto.geometry import ZyxFloat, anisotropy, cutting_axis
from pytc_auto.planning.decisions import Decision, rounded
from pytc_auto.schema.augmentation import (
    Affine,
    Augmentation,
    Blur,
    Effects,
    GrayValues,
    MissingSection,
    Noise,
    SectionGrayValues,
    SectionShift,
)
from pytc_auto.schema.fingerprint import Fingerprint, SectionFacts

ISOTROPIC = 1.5
FLAT = 3.0
TILT_DEGREES = 15.0
LEAST_MISSING, MOST_MISSING = 0.02, 0.1
SHIFT_VOXELS, MOST_SHIFT_VOXELS = 5.0, 17.0
"""Where sections were not compared, and at most; the latter as in Lee et al. 2017 (arXiv:1706.00120)."""
LEAST_CONTRAST, MOST_CONTRAST = 0.1, 0.5


def choose_augmentation(fingerprint: Fingerprint, voxel_size_nm: ZyxFloat, symmetries: int) -> Decision[Augmentation]:
    """Section effects for thin-section data only, at the measured rates."""
    ratio = anisotropy(voxel_size_nm)
    sectioned = ratio >= ISOTROPIC
    facts = fingerprint.sections
    missing, drift = facts.missing_rate, facts.mean_drift
    fine = min(voxel_size_nm)
    effects = Effects(
        affine=Affine(probability=0.2, rotation_degrees=_rotation(voxel_size_nm, ratio), scale=0.15),
        section_shift=SectionShift(probability=0.2, shift_nm=_shift(facts, fine)) if sectioned else None,
        intensity=GrayValues(probability=0.5, contrast=0.2, brightness=0.2, gamma=0.2),
        section_intensity=SectionGrayValues(probability=0.5, contrast=_contrast(facts.std_drift), brightness=_drift(drift))
        if sectioned
        else None,
        missing_section=MissingSection(probability=_missing(missing)) if sectioned else None,
        blur=Blur(probability=0.1, sigma_nm=rounded(fine)),
        noise=Noise(probability=0.3, sigma=0.15),
    )
    rule = "augmentation.sections" if sectioned else "augmentation.isotropic"
    numbers = {"anisotropy": rounded(ratio), "missing_rate": missing, "mean_drift": drift, "std_drift": facts.std_drift}
    numbers |= {"shift_p95_nm": facts.shift_nm["p95"] if facts.shift_nm else None, "symmetries": symmetries}
    return Decision(Augmentation(symmetries=symmetries, effects=effects), rule, dict(numbers))


def _rotation(voxel_size_nm: ZyxFloat, ratio: float) -> tuple[float, float, float]:
    """About all axes, about the cutting axis only, or with small tilts between."""
    tilt = 180.0 if ratio < ISOTROPIC else 0.0 if ratio >= FLAT else TILT_DEGREES
    cut = cutting_axis(voxel_size_nm)
    about = [180.0 if i == cut else tilt for i in range(3)]
    return about[0], about[1], about[2]


def _shift(facts: SectionFacts, fine: float) -> float:
    """The measured 95th percentile of the shift from section to section, between 1 and 17 voxels."""
    measured = SHIFT_VOXELS * fine if facts.shift_nm is None else facts.shift_nm["p95"]
    return rounded(min(MOST_SHIFT_VOXELS * fine, max(fine, measured)))


def _contrast(drift: float | None) -> float:
    """Twice the measured change of contrast from section to section."""
    return LEAST_CONTRAST if drift is None else rounded(min(MOST_CONTRAST, max(LEAST_CONTRAST, 2 * drift)))


def _missing(rate: float | None) -> float:
    return rounded(min(MOST_MISSING, max(LEAST_MISSING, 2 * (rate or 0.0))))


def _drift(drift: float | None) -> float:
    """Brightness per section in standard deviations: twice what was measured."""
    return rounded(min(0.5, 2 * drift)) if drift else 0.1

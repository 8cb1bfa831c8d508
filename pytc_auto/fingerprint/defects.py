"""Sections that stand out from their neighbors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytc_auto.fingerprint.curves import SectionCurves
from pytc_auto.fingerprint.percentiles import Floats

Mask = npt.NDArray[np.bool_]

AROUND = 5
"""Sections on either side that a section is compared with."""
FLAT_CONTRAST = 0.05
"""A section with less than this share of the usual contrast is blank."""
DUPLICATE = 0.25
"""Near-duplicates differ by less than this share of what neighbors usually do, 1 minus their correlation,"""
ALIKE = 0.9
"""and have at least this correlation."""
CONTRAST_SHARE = 0.5
"""A dark or bright section's mean is off by at least this share of the usual contrast."""
LEAST_BLUR = 0.5
"""A blurred section has at most this share of its neighbors' sharpness."""
LEAST_SHIFT = 4.0
"""Voxels that a shift is beyond the usual, at least,"""
SLANT = 1.5
"""and so many times a section's thickness, by which slanted objects move from one section to the next,"""
USUAL_SHIFTS = 3.0
"""and so many times the usual."""
SPREADS = 6.0
"""A section stands out if it is off by so many standard deviations (robust) of what others are off."""
MAD_TO_STD = 1.4826


@dataclass(frozen=True)
class Defects:
    """Numbers of the sections that stand out, from 0, in order.

    Attributes:
        missing: Blank ones.
        duplicate: Nearly the same as the section before.
        shifted: Shifted against both neighbors, or from the section before on.
        dark: Clearly darker than the sections around.
        bright: Clearly brighter.
        blurred: Clearly less sharp.
        slipped: Those of ``shifted`` after which the stack goes on where it was before.
        contrast: Of dark and bright sections: mean over that of the sections around, minus 1.
        shift_nm: Of shifted sections.
    """

    missing: tuple[int, ...]
    duplicate: tuple[int, ...]
    shifted: tuple[int, ...]
    dark: tuple[int, ...]
    bright: tuple[int, ...]
    blurred: tuple[int, ...]
    slipped: tuple[int, ...]
    contrast: dict[int, float]
    shift_nm: dict[int, float]


def find_defects(curves: SectionCurves) -> Defects:
    """Sections that stand out from the ones around them."""
    section, mean, std = curves.section, curves.mean, curves.std
    shown = np.isfinite(mean)
    usual = float(np.median(std[shown])) if shown.any() else 0.0
    missing = ~shown | (std <= FLAT_CONTRAST * usual)
    rest = np.where(missing, np.nan, mean)
    around = _around(rest)
    off = rest - around
    out = (np.abs(off) > CONTRAST_SHARE * usual) & (np.abs(off) > SPREADS * _spread(off))
    with np.errstate(invalid="ignore", divide="ignore"):
        blur = np.log(np.where(missing, np.nan, curves.sharpness))
    blur -= _around(blur)
    blurred = (blur < np.log(LEAST_BLUR)) & (blur < -SPREADS * _spread(blur))
    pairs = np.diff(section) == 1
    same = np.zeros(len(section), bool)
    same[1:] = pairs & _duplicates(curves.correlation[:-1])
    shifted, slipped, length = _shifted(curves.shift_nm, max(LEAST_SHIFT * min(curves.plane_nm), SLANT * curves.section_nm))

    def numbers(chosen: Mask) -> tuple[int, ...]:
        return tuple(int(s) for s in section[chosen])

    with np.errstate(invalid="ignore", divide="ignore"):
        contrast = np.where(around > 0, rest / around - 1, np.nan)
    return Defects(
        missing=numbers(missing),
        duplicate=numbers(same),
        shifted=numbers(shifted),
        dark=numbers(out & (off < 0)),
        bright=numbers(out & (off > 0)),
        blurred=numbers(blurred),
        slipped=numbers(slipped),
        contrast={int(s): float(c) for s, c in zip(section[out], contrast[out], strict=True)},
        shift_nm={int(s): float(n) for s, n in zip(section[shifted], length[shifted], strict=True)},
    )


def _around(curve: Floats) -> Floats:
    """(S,) median of up to five values on either side, without the value itself; nan where there are fewer than three."""
    padded = np.pad(curve, AROUND, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * AROUND + 1)
    beside = np.delete(windows, AROUND, axis=1)
    enough = np.isfinite(beside).sum(axis=1) >= 3
    found = np.full(len(curve), np.nan)
    found[enough] = np.nanmedian(beside[enough], axis=1)
    return found


def _spread(values: Floats) -> float:
    """Robust standard deviation about 0 of what is known."""
    known = np.abs(values[np.isfinite(values)])
    return MAD_TO_STD * float(np.median(known)) if known.size else 0.0


def _duplicates(correlation: Floats) -> Mask:
    """(S - 1,) pairs of neighbors that are nearly the same."""
    differ = 1 - correlation
    known = differ[np.isfinite(differ)]
    if known.size < 3:
        return np.zeros(len(correlation), bool)
    return np.asarray((differ < DUPLICATE * float(np.median(known))) & (correlation > ALIKE), np.bool_)


def _shifted(shift_nm: Floats, least_nm: float) -> tuple[Mask, Mask, Floats]:
    """(S,) shifted sections, those of them that only slipped, and how far.

    A section that slipped is shifted against the one before, and the next one is shifted back against it. A single shift moves
    all that follows.
    """
    length = np.hypot(shift_nm[:, 0], shift_nm[:, 1])
    known = length[np.isfinite(length)]
    shifted, slipped, far = np.zeros(len(length), bool), np.zeros(len(length), bool), np.zeros(len(length))
    if known.size < 3:
        return shifted, slipped, far
    usual = float(np.median(known))
    spread = MAD_TO_STD * float(np.median(np.abs(known - usual)))
    large = length > usual + max(least_nm, USUAL_SHIFTS * usual, SPREADS * spread)
    pair = 0
    while pair < len(large) - 1:
        if large[pair]:
            back = large[pair + 1] and np.hypot(*(shift_nm[pair] + shift_nm[pair + 1])) < 0.5 * length[pair]
            shifted[pair + 1], slipped[pair + 1], far[pair + 1] = True, back, length[pair]
            pair += int(back)
        pair += 1
    return shifted, slipped, far

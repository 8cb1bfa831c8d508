from __future__ import annotations

import numpy as np
import pytest

from pytc_auto.fingerprint.curves import SectionCurves
from pytc_auto.fingerprint.defects import find_defects


def _curves(**changes):
    """30 good sections, 40 nm thick."""
    rng = np.random.default_rng(0)
    fields = {
        "section": np.arange(30.0),
        "mean": 120 + rng.normal(0, 2, 30),
        "std": 20 + rng.normal(0, 0.5, 30),
        "sharpness": np.exp(rng.normal(-1, 0.05, 30)),
        "correlation": np.append(0.5 + rng.normal(0, 0.03, 29), np.nan),
        "shift_nm": np.append(rng.normal(0, 8, (29, 2)), [[np.nan] * 2], axis=0),
        "plane_nm": (8.0, 6.0),
        "section_nm": 40.0,
        "windows_fraction": 1.0,
    }
    for name, values in changes.items():
        for place, value in values.items():
            fields[name][place] = value
    return SectionCurves(**fields)


def _found(**changes):
    defects = find_defects(_curves(**changes))
    kinds = ("missing", "duplicate", "shifted", "dark", "bright", "blurred", "slipped")
    return {k: found for k in kinds if (found := getattr(defects, k))}


def test_good_sections_have_no_defect():
    assert _found() == {}


def test_blank_sections_are_missing_and_nothing_else():
    assert _found(std={4: 0.0, 9: 0.9, 12: 1.1}, mean={4: 0.0, 9: 3.0}) == {"missing": (4, 9)}
    assert _found(mean={4: np.nan}, std={4: np.nan}) == {"missing": (4,)}


def test_dark_and_bright():
    found = find_defects(_curves(mean={3: 80.0, 20: 150.0}))
    assert (found.dark, found.bright) == ((3,), (20,))
    assert found.contrast == pytest.approx({3: -1 / 3, 20: 0.25}, abs=0.02)
    assert _found(mean={3: 112.0}) == {}


def test_slow_drift_is_no_outlier():
    assert _found(mean={i: 100 + 3.0 * i for i in range(30)}) == {}


def test_contrast_of_values_about_zero_is_unknown():
    found = find_defects(_curves(mean={i: -5.0 + i % 2 for i in range(30)} | {7: -60.0}))
    assert found.dark == (7,)
    assert np.isnan(found.contrast[7])


def test_blur():
    usual = float(np.exp(-1))
    assert _found(sharpness={8: 0.3 * usual, 20: 0.7 * usual, 25: 3 * usual}) == {"blurred": (8,)}


def test_duplicates_differ_much_less_than_others():
    assert _found(correlation={8: 0.99}) == {"duplicate": (9,)}
    assert _found(correlation={8: 0.8}) == {}
    alike = dict.fromkeys(range(29), 0.95)
    assert _found(correlation=alike | {8: 0.98}) == {}
    assert _found(correlation=alike | {8: 0.999}) == {"duplicate": (9,)}


def test_duplicates_are_neighbors():
    assert _found(section={i: i + 5 for i in range(9, 30)}, correlation={8: 0.99}) == {}


def test_a_slip_comes_back_and_a_step_does_not():
    found = find_defects(_curves(shift_nm={8: (120.0, 50.0), 9: (-118.0, -55.0), 20: (0.0, -200.0)}))
    assert (found.shifted, found.slipped) == ((9, 21), (9,))
    assert found.shift_nm == pytest.approx({9: 130.0, 21: 200.0})


def test_a_shift_of_a_slant_is_usual():
    assert _found(shift_nm={8: (50.0, 40.0)}) == {}


def test_few_sections_have_no_defect():
    fields = {n: v[:2] if isinstance(v, np.ndarray) else v for n, v in _curves(mean={1: 30.0}).__dict__.items()}
    found = find_defects(SectionCurves(**fields))
    assert not any((found.dark, found.blurred, found.duplicate, found.shifted))

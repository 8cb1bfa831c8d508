from __future__ import annotations

import numpy as np
import pytest
from samples import fingerprint

from pytc_auto.fingerprint.curves import SectionCurves
from pytc_auto.fingerprint.defects import Defects
from pytc_auto.fingerprint.measure import measure
from pytc_auto.fingerprint.measurement import Measurement, VolumeView
from pytc_auto.fingerprint.remarks import remarks
from pytc_auto.fingerprint.sections import Sections
from pytc_auto.schema.dataset import Dataset

NONE = dict.fromkeys(("missing", "duplicate", "shifted", "dark", "bright", "blurred", "slipped"), ())


def _said(defects=None, **facts):
    found = Defects(**{**NONE, "contrast": {}, "shift_nm": {}, **(defects or {})})
    curves = SectionCurves(*[np.zeros(30)] * 5, np.zeros((30, 2)), (5.0, 5.0), 40.0, 1.0)
    return remarks(Measurement(fingerprint(**facts), (VolumeView("v0", Sections(curves, found, (0.0, 0), (0.0, 0)), ()),), None))


def test_nothing_to_say():
    assert _said() == []


@pytest.mark.parametrize(
    ("defects", "said"),
    [
        ({"missing": (7,)}, "Section 7 of v0 is blank."),
        ({"missing": (7, 8)}, "Sections 7, 8 of v0 are blank."),
        ({"missing": tuple(range(30))}, "Sections 0, 1, 2, 3, 4 and 25 more of v0 are blank."),
        ({"duplicate": (6,)}, "Sections 5 and 6 of v0 are nearly the same."),
        ({"dark": (13,), "contrast": {13: -0.38}}, "Section 13 of v0 is 38 % darker than its neighbors."),
        ({"dark": (3, 9), "contrast": {3: -0.2, 9: -0.38}}, "Sections 3, 9 of v0 are 20 to 38 % darker than their neighbors."),
        ({"bright": (13,), "contrast": {13: np.nan}}, "Section 13 of v0 is clearly brighter than its neighbors."),
        ({"blurred": (3,)}, "Section 3 of v0 is blurred."),
        (
            {"shifted": (9,), "slipped": (9,), "shift_nm": {9: 120.4}},
            "Section 9 of v0 is shifted by 120 nm against its neighbors.",
        ),
        ({"shifted": (9,), "shift_nm": {9: 120.4}}, "From section 9 on, v0 is shifted by 120 nm."),
    ],
)
def test_what_is_said_of_sections(defects, said):
    assert _said(defects) == [said]


def test_long_lists_are_shortened():
    many = tuple(range(1, 30, 2))
    said = _said({"duplicate": many})
    assert len(said) == 6
    assert said[-1] == "10 more sections of v0 are nearly the same as the one before."
    said = _said({"shifted": many, "shift_nm": dict.fromkeys(many, 99.0)})
    assert said[-1] == "10 more sections of v0 are shifted against the one before."


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"labels_shift_nm": (0.0, 40.0, -64.0)}, "v0: the labels look shifted by +40 nm on y, -64 nm on x against the image."),
        ({"kind": "skeletons", "coverage": "sparse"}, "The labels are lines, not regions: skeletons."),
        (
            {"coverage": "sparse"},
            "Only some of the objects seem to be labelled. If 0 means that nobody looked: declare unlabeled: [0].",
        ),
        (
            {"ignore_candidates": [{"value": 255, "fraction": 0.034, "reason": "it is far from the other classes"}]},
            "Label value 255 looks like 'not labelled' (it is far from the other classes; 3.4% of the voxels): "
            "declare unlabeled: [255] in dataset.yaml.",
        ),
        (
            {"counted_from": "sample"},
            "The labels have no level small enough to be counted whole: ids and sizes are those of the sample.",
        ),
    ],
)
def test_what_is_said_of_labels(facts, said):
    assert _said(**facts) == [said]


def test_gray_values_that_are_no_numbers_are_told_with_their_place_and_what_follows(tmp_path):
    image = np.random.default_rng(0).normal(100, 20, (20, 40, 44)).astype(np.float32)
    image[5, 3, 4], image[9] = np.inf, np.nan
    np.save(tmp_path / "a.npy", image)
    entry = {"name": "a", "image": str(tmp_path / "a.npy"), "voxel_size_nm": (40.0, 8.0, 8.0)}
    volumes = [{**entry, "labels": None, "axes": "zyx", "unlabeled_sections": []}]
    data = Dataset.model_validate(
        {"root": str(tmp_path), "task": "neurons", "unlabeled": [], "class_names": {}, "volumes": volumes}
    )
    (said,) = [s for s in remarks(measure(data)) if "NaN" in s]
    assert said.startswith("a: 1761 of 35200 voxels that were read are NaN or infinite, the first in section 5 (counted from 0).")
    assert "Training takes NaN for the mean gray value" in said

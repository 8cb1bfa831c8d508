from __future__ import annotations

import numpy as np
import pytest
from samples import fingerprint
from scipy.ndimage import gaussian_filter

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
            {"coverage": "sparse", "touching_fraction": 0.002},
            "Only some of the objects seem to be labelled. If 0 means that nobody looked: label what lies around some of "
            "them, too, and declare unlabeled: [0]; without that nothing shows where objects end.",
        ),
        (
            {"coverage": "sparse", "touching_fraction": 0.0, "unlabeled": [0]},
            "0 is declared as not labelled, and hardly any labelled objects touch: nothing shows a network where objects end. "
            "Label what lies around some of them, too, or, where 0 is background, do not declare it.",
        ),
        (
            {"ignore_candidates": [{"value": 255, "fraction": 0.034, "reason": "it is far from the other classes"}]},
            "Label value 255 looks like 'not labelled' (it is far from the other classes; 3.4% of the voxels): "
            "declare unlabeled: [255] in dataset.yaml, or, if it is background, plan with labels.background=[255].",
        ),
        (
            {"counted_from": "sample"},
            "The labels have no level small enough to be counted whole: ids and sizes are those of the sample.",
        ),
    ],
)
def test_what_is_said_of_labels(facts, said):
    assert _said(**facts) == [said]


def measured(folder, image, labels=None):
    """One volume of sections of 40 nm."""
    entry = {"name": "a", "voxel_size_nm": (40.0, 8.0, 8.0), "axes": "zyx", "unlabeled_sections": [], "labels": None}
    for name, array in (("image", image), ("labels", labels)):
        if array is not None:
            np.save(folder / f"{name}.npy", array)
            entry[name] = str(folder / f"{name}.npy")
    raw = {"root": str(folder), "task": None if labels is not None else "neurons", "unlabeled": [], "class_names": {}}
    return measure(Dataset.model_validate({**raw, "volumes": [entry]}))


def test_gray_values_that_are_no_numbers_are_told_with_their_place_and_what_follows(tmp_path):
    image = np.random.default_rng(0).normal(100, 20, (20, 40, 44)).astype(np.float32)
    image[5, 3, 4], image[9] = np.inf, np.nan
    (said,) = [s for s in remarks(measured(tmp_path, image)) if "NaN" in s]
    assert said.startswith("a: 1761 of 35200 voxels that were read are NaN or infinite, the first in section 5 (counted from 0).")
    assert "Training takes NaN for the mean gray value" in said
    assert "pytc predict leaves 0 where a volume is NaN" in said


@pytest.mark.parametrize("step", [1, 32])
@pytest.mark.parametrize("blur", [0, 1.5])
def test_gray_values_given_as_labels_are_told_first(tmp_path, step, blur):
    """Of all steps, and of so few that they look like classes."""
    image = gaussian_filter(np.random.default_rng(0).normal(128, 40 * (1 + 8 * blur), (20, 40, 44)), blur).clip(0, 255)
    image = image.astype(np.uint8) // step * step
    measurement = measured(tmp_path, image, image)
    assert measurement.fingerprint.labels.kind == ("classes" if step > 1 else "instances")
    assert remarks(measurement)[0].startswith("The labels look like gray values, not labels: ")


def test_labels_are_not_taken_for_gray_values(tmp_path):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (20, 40, 44)).astype(np.uint8)
    ids = (np.arange(20)[:, None, None] // 10 * 100 + np.arange(40)[:, None] // 8 * 10 + np.arange(44) // 9 + 1).astype(np.uint16)
    dusty = np.where(rng.random(ids.shape) < 0.02, rng.permutation(ids.ravel()).reshape(ids.shape), ids)
    classes = (ids % 3).astype(np.uint8)
    for labels in (ids, dusty, classes):
        assert not any("gray values, not labels" in said for said in remarks(measured(tmp_path, image, labels)))


def test_an_order_of_axes_that_looks_wrong_is_told():
    assert _said(voxel_size_nm=(4.0, 4.0, 40.0)) == [
        "The voxel size is 4, 4, 40 nm (z, y, x), so sections lie along x. If they lie along z, its order is another: "
        "give --voxel-size 40,4,4."
    ]
    assert "give --voxel-size 30,6,5." in _said(voxel_size_nm=(6.0, 30.0, 5.0))[0]
    assert _said(voxel_size_nm=(4.0, 4.0, 40.0), shape=(300, 250, 100)) == []
    assert _said(voxel_size_nm=(5.0, 5.0, 6.0)) == _said(voxel_size_nm=(40.0, 4.0, 4.0)) == []

"""Defects planted in a synthetic stack are found, and an untouched one has none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from pytc_auto.fingerprint.measure import measure
from pytc_auto.fingerprint.remarks import remarks
from pytc_auto.schema.dataset import Dataset, VolumeEntry

RATES = ("missing_rate", "duplicate_rate", "shifted_rate", "dark_rate", "bright_rate", "blurred_rate")


def _measure(folder, image, labels, size, **entry):
    np.save(folder / "image.npy", image)
    np.save(folder / "labels.npy", labels)
    volume = VolumeEntry(
        name="stack1",
        image=str(folder / "image.npy"),
        labels=str(folder / "labels.npy"),
        voxel_size_nm=size,
        axes="zyx",
        unlabeled_sections=[],
        **entry,
    )
    return measure(Dataset(root=str(folder), task=None, unlabeled=[], class_names={}, volumes=[volume]))


def _of(folder, phantom, image=None, labels=None, **entry):
    image = phantom.image_zyx if image is None else image
    return _measure(folder, image, phantom.neurons_zyx if labels is None else labels, phantom.voxel_size_nm, **entry)


def _rates(measured):
    return {name: rate for name in RATES if (rate := getattr(measured.fingerprint.sections, name))}


def _nothing_else(measured):
    """No finding but those of sections."""
    facts = measured.fingerprint
    assert facts.volumes[0].labels_shift_nm is None
    assert facts.intensity.inverted is False
    assert facts.intensity.padding_value is None
    assert facts.labels.ignore_candidates == []
    assert facts.volumes[0].blank_label_sections == []


@pytest.mark.parametrize("kind", ["serial", "block"])
def test_an_untouched_stack_has_no_defect(kind, request, tmp_path):
    measured = _of(tmp_path, request.getfixturevalue(kind))
    assert _rates(measured) == {}
    _nothing_else(measured)
    assert remarks(measured) == []


def _blank(image):
    image[9] = 0


def _duplicate(image):
    image[9] = (image[8].astype(int) + np.random.default_rng(0).integers(-2, 3, image[8].shape)).clip(0, 255)


def _shift(image):
    image[9] = np.roll(image[9], (0, 15), (0, 1))


def _step(image):
    image[9:] = np.roll(image[9:], (12, 9), (1, 2))


def _dark(image):
    image[9] = image[9] * 0.6


def _bright(image):
    image[9] = (image[9] * 0.6 + 100).clip(0, 255)


def _blur(image):
    image[9] = ndimage.gaussian_filter(image[9], 2.5)


SAID = {
    _blank: (["missing_rate"], "Section 9 of stack1 is blank."),
    _duplicate: (["duplicate_rate"], "Sections 8 and 9 of stack1 are nearly the same."),
    _shift: (["shifted_rate"], "Section 9 of stack1 is shifted by {shift} nm against its neighbors."),
    _step: (["shifted_rate"], "From section 9 on, stack1 is shifted by {step} nm."),
    _dark: (["dark_rate"], "Section 9 of stack1 is {dark} % darker than its neighbors."),
    _bright: (["bright_rate"], "Section 9 of stack1 is {bright} % brighter than its neighbors."),
    _blur: (["blurred_rate"], "Section 9 of stack1 is blurred."),
}


@pytest.mark.parametrize("kind", ["serial", "block"])
@pytest.mark.parametrize("plant", list(SAID))
def test_a_planted_section_is_found(kind, plant, request, tmp_path):
    phantom = request.getfixturevalue(kind)
    image = phantom.image_zyx.copy()
    plant(image)
    labels = phantom.neurons_zyx.copy()
    if plant is _step:
        labels[9:] = np.roll(labels[9:], (12, 9), (1, 2))
    measured = _of(tmp_path, phantom, image, labels)
    names, said = SAID[plant]
    assert _rates(measured) == dict.fromkeys(names, 1 / len(image))
    _nothing_else(measured)
    (remark,) = remarks(measured)
    assert remark.split("{")[0].startswith(said.split("{")[0])
    assert remark.endswith(said.split("}")[-1])
    if "{" in said:
        number = float(remark[len(said.split("{")[0]) :].split()[0])
        assert number == pytest.approx(_wanted(plant, phantom, image), abs=_tolerance(plant, phantom))


def _wanted(plant, phantom, image):
    _, y, x = phantom.voxel_size_nm
    if plant in (_shift, _step):
        return np.hypot(0 if plant is _shift else 12 * y, 15 * x if plant is _shift else 9 * x)
    around = np.median([image[i].mean() for i in (*range(4, 9), *range(10, 15))])
    return 100 * abs(image[9].mean() / around - 1)


def _tolerance(plant, phantom):
    return 2.5 * max(phantom.voxel_size_nm[1:]) if plant in (_shift, _step) else 1


def test_several_sections_are_told_together(serial, tmp_path):
    image = serial.image_zyx.copy()
    for section in (3, 6, 9, 12, 15, 18, 21):
        image[section] = 0
    measured = _of(tmp_path, serial, image)
    assert remarks(measured) == ["Sections 3, 6, 9, 12, 15 and 2 more of stack1 are blank."]


@pytest.mark.parametrize(
    ("kind", "voxels"), [("serial", (0, 6, -8)), ("serial", (1, 0, 0)), ("block", (0, -9, 5)), ("block", (4, 0, 0))]
)
def test_shifted_labels_are_found(kind, voxels, request, tmp_path):
    phantom = request.getfixturevalue(kind)
    labels = np.roll(phantom.neurons_zyx, voxels, (0, 1, 2))
    measured = _of(tmp_path, phantom, labels=labels)
    shift = measured.fingerprint.volumes[0].labels_shift_nm
    wanted = [v * s for v, s in zip(voxels, phantom.voxel_size_nm, strict=True)]
    assert shift == pytest.approx(wanted, abs=max(phantom.voxel_size_nm[1:]))
    assert _rates(measured) == {}
    (remark,) = remarks(measured)
    assert remark.startswith("stack1: the labels look shifted by ")
    assert all(f"{round(s / n) * n:+.0f} nm on" in remark for s, n in zip(shift, phantom.voxel_size_nm, strict=True) if s)


def test_labels_of_a_part_fit_where_they_begin(block, tmp_path):
    start = (5, 20, 30)
    labels = block.neurons_zyx[5:40, 20:130, 30:150]
    fits = _of(tmp_path, block, labels=labels, labels_start=start).fingerprint.volumes[0]
    assert fits.labels_shift_nm is None
    assert (fits.labels_box.start, fits.labels_box.shape) == (start, labels.shape)
    assert fits.labelled_fraction == pytest.approx(labels.size / block.image_zyx.size)
    beside = _of(tmp_path, block, labels=labels, labels_start=(5, 26, 30)).fingerprint.volumes[0]
    assert beside.labels_shift_nm == pytest.approx((0, 60, 0), abs=10)


def test_an_ignore_value_is_found(block, tmp_path):
    rim = block.neurons_zyx.astype(np.uint16)
    rim[:, :12], rim[:, -12:], rim[..., :12], rim[..., -12:] = 999, 999, 999, 999
    highest = block.neurons_zyx.astype(np.uint16)
    highest[10:20, 30:60, 40:80] = 65535
    sections = block.neurons_zyx.astype(np.int64)
    sections[[3, 30]] = 5000
    negative = block.neurons_zyx.astype(np.int32)
    negative[10:20, 30:60, 40:80] = -1
    classes = block.classes_zyx.copy()
    classes[10:20, 30:60, 40:80] = 255
    for labels, value in ((rim, 999), (highest, 65535), (sections, 5000), (negative, -1), (classes, 255)):
        measured = _of(tmp_path, block, labels=labels)
        assert [c.value for c in measured.fingerprint.labels.ignore_candidates] == [value]
        assert measured.fingerprint.labels.ignore_candidates[0].fraction == pytest.approx((labels == value).mean())
        remark = remarks(measured)[-1]
        assert remark.startswith(f"Label value {value} looks like 'not labelled' (")
        assert f"declare unlabeled: [{value}] in dataset.yaml, or, if it is background, plan with labels.background" in remark


@pytest.mark.parametrize("kind", ["serial", "block"])
@pytest.mark.parametrize("labelled", [True, False])
def test_bright_membranes_are_found(kind, labelled, request, tmp_path):
    phantom = request.getfixturevalue(kind)
    labels = phantom.neurons_zyx if labelled else np.ones_like(phantom.neurons_zyx)
    assert _of(tmp_path, phantom, labels=labels).fingerprint.intensity.inverted is False
    measured = _of(tmp_path, phantom, 255 - phantom.image_zyx, labels)
    assert measured.fingerprint.intensity.inverted is True
    assert remarks(measured) == ["The contrast is inverted: membranes are bright. Models trained on dark membranes will not fit."]


@pytest.mark.parametrize("value", [0, 255])
def test_padding_is_found(value, serial, tmp_path):
    image = serial.image_zyx.copy()
    image[:, :40] = value
    measured = _of(tmp_path, serial, image)
    facts = measured.fingerprint.intensity
    assert facts.padding_value == value
    assert facts.padding_fraction == pytest.approx(0.2, abs=0.002)
    assert facts.mean == pytest.approx(serial.image_zyx[:, 40:].mean(), abs=0.3)
    assert _rates(measured) == {}
    assert remarks(measured)[0] == (
        f"{facts.padding_fraction:.1%} of the voxels are padding of the value {value}. "
        "It is left out of mean, deviation and percentiles."
    )


@pytest.mark.parametrize("axis", [1, 2])
def test_sections_are_counted_along_the_cutting_axis(axis, serial, tmp_path):
    turned = [np.ascontiguousarray(np.moveaxis(a, 0, axis)) for a in (serial.image_zyx, serial.neurons_zyx)]
    np.moveaxis(turned[0], axis, 0)[9] = 0
    size = list(serial.voxel_size_nm[1:])
    size.insert(axis, serial.voxel_size_nm[0])
    measured = _measure(tmp_path, *turned, tuple(size))
    assert remarks(measured) == ["Section 9 of stack1 is blank."]


def test_skeletons_are_told(block, tmp_path):
    lines = np.zeros_like(block.neurons_zyx)
    for i in range(8):
        lines[4:44, 20 + 12 * i, 30 + 12 * i] = i + 1
    measured = _of(tmp_path, block, labels=lines)
    assert measured.fingerprint.labels.kind == "skeletons"
    assert remarks(measured)[-1] == "The labels are lines, not regions: skeletons."

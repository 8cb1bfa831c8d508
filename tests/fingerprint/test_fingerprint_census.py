from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from pytc_auto.fingerprint import sampling
from pytc_auto.fingerprint.census import take_census
from pytc_auto.fingerprint.unlabeled import Unlabeled
from pytc_auto.io.volume import ArrayVolume

SIZE = (30.0, 12.0, 7.0)
NOWHERE = Unlabeled((), 0, ())


def _census(labels, unlabeled=NOWHERE, size=SIZE):
    return take_census(ArrayVolume(labels), unlabeled, size)


def _rows(census):
    return sorted(zip(census.value.tolist(), census.voxels.tolist(), census.extent_nm.tolist(), census.cut.tolist(), strict=True))


def _slow(labels, known, size=SIZE):
    """Every component by scipy, one label after another."""
    rows = []
    near_unknown = ndimage.binary_dilation(~known)
    for value in np.unique(labels[known & (labels != 0)]).tolist():
        parts, count = ndimage.label((labels == value) & known)
        for number, box in enumerate(ndimage.find_objects(parts, count), start=1):
            sides = [(s.stop - s.start) * n for s, n in zip(box, size, strict=True)]
            border = any(s.start == 0 or s.stop == n for s, n in zip(box, labels.shape, strict=True))
            cut = border or bool((near_unknown & (parts == number)).any())
            rows.append((value, float((parts == number).sum()), max(sides), cut))
    return sorted(rows)


def _labels(dtype=np.uint16):
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 5, (5, 7, 6)), np.ones((4, 3, 5), int))
    labels[rng.random(labels.shape) < 0.05] = 0
    return labels.astype(dtype)


@pytest.mark.parametrize(("limit", "extent"), [(10**6, 30), (500, 30), (60, 30), (7, 11)])
def test_blocks_give_what_the_whole_gives(limit, extent, monkeypatch):
    monkeypatch.setattr(sampling, "LABEL_BOX_VOXELS", limit)
    labels = _labels()[:extent, : extent - 1, :extent].copy()
    before = labels.copy()
    census = _census(labels)
    assert _rows(census) == _slow(labels, np.ones(labels.shape, bool))
    values, counts = np.unique(labels, return_counts=True)
    assert census.counts == dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert census.read == labels.size
    np.testing.assert_array_equal(labels, before)


@pytest.mark.parametrize("limit", [10**6, 6000, 2000])
def test_a_component_is_as_wide_as_its_widest_part(limit, monkeypatch):
    monkeypatch.setattr(sampling, "LABEL_BOX_VOXELS", limit)
    size = (12.0, 10.0, 8.0)
    z, y, x = np.ogrid[:30, :35, :40]
    labels = np.zeros((30, 35, 40), np.uint8)
    radii_nm = {1: 60.0, 2: 100.0}
    for value, center in {1: (7, 8, 9), 2: (18, 22, 26)}.items():
        square = sum((s * (a - c)) ** 2 for s, a, c in zip(size, (z, y, x), center, strict=True))
        labels[square <= radii_nm[value] ** 2] = value
    census = _census(labels, size=size)
    order = np.argsort(census.value)
    np.testing.assert_allclose(census.widths.diameter_nm[order], [2 * r for r in radii_nm.values()], atol=16)
    np.testing.assert_array_equal(census.widths.voxels, census.voxels)


@pytest.mark.parametrize("limit", [10**6, 700])
def test_of_thick_sections_the_profiles_are_as_wide_as_they_are(limit, monkeypatch):
    monkeypatch.setattr(sampling, "LABEL_BOX_VOXELS", limit)
    labels = np.zeros((6, 20, 20), np.uint8)
    labels[:, 4:8] = 1
    labels[2:4, 12:18] = 2
    widths = _census(labels, size=(40.0, 5.0, 5.0)).widths
    assert sorted(set(widths.diameter_nm.tolist())) == [20.0, 30.0]
    assert widths.voxels[widths.diameter_nm == 20].sum() == (labels == 1).sum()


@pytest.mark.parametrize("limit", [10**6, 60])
def test_unlabeled_voxels_are_no_objects_and_cut_them(limit, monkeypatch):
    monkeypatch.setattr(sampling, "LABEL_BOX_VOXELS", limit)
    labels, unlabeled = _labels(), Unlabeled((3,), 1, (2, 11))
    census = _census(labels, unlabeled)
    known = labels != 3
    known[:, [2, 11]] = False
    if limit > 1000:
        assert _rows(census) == _slow(labels, known)
    assert [r[:3] for r in _rows(census)] == [r[:3] for r in _slow(labels, known)]
    assert 3 not in census.counts
    assert sum(census.counts.values()) == known.sum()


def test_chunks_may_be_larger_than_blocks(monkeypatch):
    monkeypatch.setattr(sampling, "LABEL_BOX_VOXELS", 100)
    volume = ArrayVolume(_labels())
    volume.chunks = (8, 8, 8)
    assert _rows(take_census(volume, NOWHERE, SIZE)) == _slow(volume.array_zyx, np.ones(volume.shape, bool))


def test_large_and_negative_ids_are_kept(monkeypatch):
    monkeypatch.setattr(sampling, "LABEL_BOX_VOXELS", 50)
    huge = _labels(np.uint64) * np.uint64(2**62 + 1)
    assert set(_census(huge).value.tolist()) == set(np.unique(huge).tolist()) - {0}
    assert set(_census(-_labels(np.int32)).value.tolist()) == {-1, -2, -3, -4}


def test_a_ring_through_many_blocks_is_one_component(monkeypatch):
    monkeypatch.setattr(sampling, "LABEL_BOX_VOXELS", 27)
    ring = np.zeros((5, 20, 23), np.uint8)
    ring[2, 2:18, 3:21] = 9
    ring[2, 5:15, 6:17] = 0
    census = _census(ring)
    assert _rows(census) == [(9, 16 * 18 - 10 * 11, 16 * 12.0, False)]
    assert census.broken == 0
    ring[2, 10] = 0
    assert _census(ring).broken == 1


def test_elongation_and_scatter():
    labels = np.zeros((12, 12, 40), np.uint8)
    labels[1:5, 1:5, 1:5], labels[8, 8, 2:38], labels[1:5, 7:11, 1:5] = 1, 2, 1
    census = _census(labels, size=(10.0, 10.0, 10.0))
    found = dict(zip(census.voxels.tolist(), census.elongation.tolist(), strict=True))
    assert found == pytest.approx({64: 4 / np.cbrt(6 / np.pi * 64), 36: 36 / np.cbrt(6 / np.pi * 36)})
    assert census.scatter.tolist() == [2.0, 1.0]
    assert census.volume_nm3.max() == 64_000


def test_nothing_gives_empty_tables():
    census = _census(np.zeros((3, 4, 5), np.uint8))
    assert census.value.size == census.volume_nm3.size == census.elongation.size == census.scatter.size == 0
    assert census.counts == {0: 60}
    assert census.broken == 0


def test_unlabeled_on_a_coarser_grid():
    assert Unlabeled((7,), 2, (1, 4, 5, 9)).coarser((1, 2, 4)) == Unlabeled((7,), 2, [0, 1, 2])

from __future__ import annotations

import numpy as np
import pytest

from pytc_auto.fingerprint import sampling
from pytc_auto.geometry import Box
from pytc_auto.io.volume import Volume


class Nothing(Volume):
    """A volume without voxels."""

    def __init__(self, shape, chunks=None):
        self.source, self.shape, self.dtype, self.voxel_size_nm, self.chunks = "nothing", shape, np.dtype("u1"), None, chunks

    def _read(self, box):
        raise AssertionError(box)


def _rng(seed=0):
    return np.random.default_rng(seed)


def _covered(shape, boxes):
    count = np.zeros(shape, int)
    for box in boxes:
        assert box.size
        count[box.slices] += 1
    return count


def test_small_volumes_are_read_whole_and_once(monkeypatch):
    monkeypatch.setattr(sampling, "SLAB_VOXELS", 70)
    volume = Nothing((5, 6, 7))
    for boxes in (sampling.image_boxes(volume, _rng()), sampling.label_columns(volume, 1, _rng())):
        assert (_covered((5, 6, 7), boxes) == 1).all()
        assert max(b.size for b in boxes) <= 70
    assert sampling.label_boxes(volume, _rng()) == [volume.box]


@pytest.mark.parametrize("limit", [1, 6, 7, 30, 42, 10_000])
def test_slabs_cover_a_box_once(limit):
    region = Box((1, 2, 3), (4, 8, 10))
    boxes = sampling.slabs(region, limit)
    assert all(region.contains(b) and 0 < b.size <= limit for b in boxes)
    assert sum(b.size for b in boxes) == region.size
    assert _covered((12, 12, 12), boxes).max() == 1


@pytest.mark.parametrize("chunks", [None, (64, 64, 64), (128, 100, 32), (1, 900, 1100)])
def test_large_images_are_read_in_boxes_that_do_not_overlap(chunks):
    volume = Nothing((700, 900, 1100), chunks)
    boxes = sampling.image_boxes(volume, _rng())
    assert all(volume.box.contains(b) for b in boxes)
    assert sampling.IMAGE_VOXELS / 3 < sum(b.size for b in boxes) <= 1.3 * sampling.IMAGE_VOXELS or chunks == (1, 900, 1100)
    starts, stops = np.array([b.start for b in boxes]), np.array([b.stop for b in boxes])
    meet = ((starts[:, None] < stops) & (starts < stops[:, None])).all(axis=-1)
    assert meet.sum() == len(boxes), "each meets itself alone"
    thirds = {tuple(3 * (a + b) // (2 * n) for a, b, n in zip(x.start, x.stop, volume.shape, strict=True)) for x in boxes}
    assert len(thirds) >= 20 or chunks == (1, 900, 1100)


@pytest.mark.parametrize(
    ("shape", "chunks"), [((20, 576, 1024), (1, 576, 1024)), ((130, 250, 250), (32, 64, 64)), ((18, 512, 512), None)]
)
def test_a_quarter_is_a_quarter(shape, chunks):
    boxes = sampling.sampled_boxes(shape, chunks, _rng(), each=2**12, total=np.prod(shape) // 4)
    assert sum(b.size for b in boxes) / np.prod(shape) == pytest.approx(0.25, abs=0.02)


def test_boxes_lie_in_as_few_chunks_as_can_be():
    for box in sampling.image_boxes(Nothing((700, 900, 1100), (128, 64, 100)), _rng()):
        for start, stop, chunk in zip(box.start, box.stop, (128, 64, 100), strict=True):
            assert start // chunk == (stop - 1) // chunk


def test_large_chunks_allow_fewer_boxes():
    boxes = sampling.image_boxes(Nothing((2000, 2000, 2000), (500, 500, 500)), _rng())
    chunks = {tuple(a // 500 for a in b.start) for b in boxes}
    assert len(chunks) == sampling.DECODED_VOXELS // 500**3
    assert len(boxes) == 512
    assert all((b.stop[i] - 1) // 500 == b.start[i] // 500 for b in boxes for i in range(3))


def test_of_sections_that_are_decoded_whole_many_places_are_read():
    boxes = sampling.image_boxes(Nothing((600, 3000, 4000), (1, 3000, 4000)), _rng())
    ranges = {b.start[0] for b in boxes}
    assert len(boxes) > 400
    assert sum(b.shape[0] for b in {b.start[0]: b for b in boxes}.values()) * 3000 * 4000 <= sampling.DECODED_VOXELS
    assert len(ranges) > 0


def test_everything_is_read_if_that_is_wanted(monkeypatch):
    monkeypatch.setattr(sampling, "WHOLE_IMAGE_VOXELS", 10)
    monkeypatch.setattr(sampling, "WHOLE_LABEL_VOXELS", 10)
    monkeypatch.setattr(sampling, "LABEL_BOX_VOXELS", 100)
    volume = Nothing((15, 16, 17))
    for boxes in (
        sampling.image_boxes(volume, _rng(), full=True),
        sampling.label_boxes(volume, _rng(), full=True),
        sampling.label_columns(volume, 2, _rng(), full=True),
        sampling.census_blocks(volume),
    ):
        assert (_covered(volume.shape, boxes) == 1).all()
    assert max(b.size for b in sampling.label_boxes(volume, _rng(), full=True)) <= 100


def test_labels_are_read_in_few_large_boxes_and_thin_ones_keep_their_thickness():
    assert [b.shape for b in sampling.label_boxes(Nothing((600, 700, 800)), _rng())] == [(256, 256, 256)] * 8
    thin = sampling.label_boxes(Nothing((20, 4000, 5000)), _rng())
    assert {b.shape[0] for b in thin} == {20}
    assert {b.shape for b in thin} == {(20, 915, 916)}
    assert len(thin) == 8


def test_labels_of_middle_size_are_read_whole_in_even_boxes():
    boxes = sampling.label_boxes(Nothing((300, 300, 300)), _rng())
    assert {b.shape for b in boxes} == {(150, 150, 150)}
    assert sum(b.size for b in boxes) == 300**3


@pytest.mark.parametrize(
    ("chunks", "block"),
    [
        (None, (29, 700, 800)),
        ((100, 60, 128), (200, 300, 256)),
        ((1, 700, 800), (29, 700, 800)),
        ((600, 700, 800), (256, 256, 256)),
    ],
)
def test_tiles_are_whole_chunks_unless_these_are_far_larger(chunks, block):
    found = sampling.census_blocks(Nothing((600, 700, 800), chunks))
    assert found[0].shape == block
    assert sum(b.size for b in found) == 600 * 700 * 800
    assert found == sorted(found)
    few = sampling.tiles(Nothing((5, 6, 7), (2, 3, 4)), 60)
    assert (_covered((5, 6, 7), few) == 1).all()
    assert few[0].shape == (4, 3, 4)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_columns_meet_every_section(axis):
    volume = Nothing((700, 800, 900))
    met = np.zeros(volume.shape[axis], int)
    for box in sampling.label_columns(volume, axis, _rng()):
        met[box.start[axis] : box.stop[axis]] += box.size // box.shape[axis]
    assert (met == 16 * 64 * 64).all()


def test_small_sections_are_looked_at_whole():
    windows = sampling.section_windows(Nothing((20, 576, 1024)), 0, _rng())
    assert windows.sections == list(range(20))
    assert sorted(w.shape for w in windows.windows) == [(1, 288, 512)] * 4
    assert (_covered((1, 576, 1024), windows.windows) == 1).all()
    assert windows.box(windows.windows[1], 3, 7) == Box((3, 0, 512), (7, 288, 1024))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_of_many_large_sections_windows_are_looked_at(axis):
    shape = [3000, 3000, 3000]
    shape[axis] = 2000
    windows = sampling.section_windows(Nothing(tuple(shape)), axis, _rng())
    assert windows.sections == list(range(2000))
    assert {w.shape[axis] for w in windows.windows} == {1}
    assert len(windows.windows) == 4
    assert all(128**2 <= w.size <= 256**2 for w in windows.windows)
    assert sum(w.size for w in windows.windows) * 2000 <= sampling.SECTION_VOXELS


def test_of_very_many_sections_runs_are_looked_at():
    volume = Nothing((10_000, 3000, 3000))
    windows = sampling.section_windows(volume, 0, _rng())
    assert len(windows.sections) == sampling.MOST_SECTIONS
    assert len(windows.runs) == 16
    assert windows.runs[1] == (625, 881)
    assert sampling.section_windows(volume, 0, _rng(), full=True).runs == [(0, 10_000)]


def test_the_seed_chooses_the_boxes():
    volume = Nothing((700, 900, 1100))
    draw = [sampling.image_boxes(volume, _rng(seed)) for seed in (3, 3, 4)]
    assert draw[0] == draw[1] != draw[2]


@pytest.mark.parametrize(
    ("shape", "voxels", "side"),
    [
        ((100, 100, 100), 1000, (10, 10, 10)),
        ((4, 100, 100), 900, (4, 15, 15)),
        ((100, 2, 3), 600, (100, 2, 3)),
        ((9, 9, 9), 1, (1, 1, 1)),
    ],
)
def test_the_most_cubic_box(shape, voxels, side):
    assert sampling.box_shape(shape, voxels) == side


def test_ranges_are_cut_at_multiples():
    assert sampling.cut_runs(5, 21, 8) == [(5, 8), (8, 16), (16, 21)]
    assert sampling.cut_runs(8, 16, 8) == [(8, 16)]


def test_section_box():
    assert sampling.section_box((4, 5, 6), 1, 2) == Box((0, 2, 0), (4, 3, 6))

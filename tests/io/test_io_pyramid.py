from __future__ import annotations

import json

import numpy as np
import pytest
import zarr

from pytc_auto.io import pyramid
from pytc_auto.io.ome_zarr import create_image, create_labels, open_level
from pytc_auto.io.open import open_segmentation, open_volume
from pytc_auto.io.pyramid import add_pyramid, pooled

SHAPE = (9, 30, 41)
SIZE = (40.0, 12.0, 11.0)
LABELS = np.random.default_rng(4).integers(0, 5, (5, 15, 21), dtype=np.uint64).repeat(2, 0).repeat(2, 1).repeat(2, 2)[:9, :, :41]
LABELS[1::3, ::4, 2::5] = 2**63 + 1
GRAY = np.random.default_rng(5).integers(0, 255, (2, *SHAPE), dtype=np.uint8)


@pytest.fixture
def small(monkeypatch):
    """Levels down to 6 voxels, in small blocks."""
    monkeypatch.setattr(pyramid, "_COARSEST", 6)
    monkeypatch.setattr(pyramid, "_BLOCK", (8, 16, 64))


@pytest.fixture
def out(tmp_path, small):
    path, more = tmp_path / "out", {"voxel_size_nm": SIZE, "attributes": {}}
    create_image(path, shape_czyx=GRAY.shape, chunks=(1, 8, 16, 64), dtype="uint8", **more)[...] = GRAY
    create_labels(path, "segmentation", shape=SHAPE, chunks=(8, 16, 64), dtype="uint64", **more)[...] = LABELS
    return path


def levels(path):
    (described,) = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]["multiscales"]
    return described["datasets"]


def scales(path):
    return [level["coordinateTransformations"][0]["scale"][-3:] for level in levels(path)]


def cells(array, factor):
    """Every coarse voxel's position and its voxels."""
    for place in np.ndindex(*(-(-n // f) for n, f in zip(array.shape, factor, strict=True))):
        yield place, array[tuple(slice(p * f, (p + 1) * f) for p, f in zip(place, factor, strict=True))]


def most_frequent(cell):
    ids, counts = np.unique(cell, return_counts=True)
    often = ids[counts == counts.max()]
    return often[-1] if cell.flat[0] == often[-1] else often[0]


def slowly(array, factor, kind):
    """Coarse voxel by coarse voxel."""
    coarse = np.zeros([-(-n // f) for n, f in zip(array.shape, factor, strict=True)], array.dtype)
    for place, cell in cells(array, factor):
        coarse[place] = most_frequent(cell) if kind == "labels" else np.rint(cell.astype(float).mean())
    return coarse


@pytest.mark.parametrize("factor", [(1, 2, 2), (2, 2, 2), (2, 1, 2), (1, 1, 1)])
def test_labels_take_the_mode_and_images_the_mean(factor):
    for array, kind in ((LABELS, "labels"), (GRAY[0], "image")):
        before = array.copy()
        coarse = pooled(array, factor, kind=kind)
        assert coarse.dtype == array.dtype
        np.testing.assert_array_equal(coarse, slowly(array, factor, kind))
        np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("kind", ["image", "labels"])
def test_blocks_give_what_the_whole_gives_and_levels_approach_isotropy(out, kind):
    path, fine = (out, GRAY) if kind == "image" else (out / "labels" / "segmentation", LABELS[None])
    assert add_pyramid(path, kind=kind) == 4
    assert scales(path) == [[40, 12, 11], [40, 24, 22], [80, 48, 44], [160, 96, 88]]
    for level, factor in enumerate([(1, 2, 2), (2, 2, 2), (2, 2, 2)], 1):
        fine = np.stack([slowly(channel, factor, kind) for channel in fine])
        np.testing.assert_array_equal(open_level(path, level)[...].reshape(fine.shape), fine)
    assert fine.shape[1:] == (3, 4, 6)


def test_coarser_voxels_lie_where_their_fine_ones_do(out):
    add_pyramid(out, kind="image")
    steps = [level["coordinateTransformations"][1:] for level in levels(out)]
    assert steps[0] == []
    assert [step["translation"] for (step,) in steps[1:]] == [[0, 0, 6, 5.5], [0, 20, 18, 16.5], [0, 60, 42, 38.5]]
    assert open_volume(out, channel=0, level=2).offset_nm == (20, 18, 16.5)


def test_a_translation_is_read_back_and_goes_on_to_the_coarser_levels(tmp_path, small):
    start, more = (400.0, 36.0, -22.0), {"dtype": "uint8", "voxel_size_nm": SIZE, "attributes": {}}
    create_image(tmp_path, shape_czyx=(2, *SHAPE), chunks=(1, *SHAPE), translation_nm=start, **more)
    create_labels(tmp_path, "a", shape=SHAPE, chunks=SHAPE, translation_nm=start, **more)
    for path, before in ((tmp_path, [0.0]), (tmp_path / "labels" / "a", [])):
        add_pyramid(path, kind="image")
        steps = [level["coordinateTransformations"][1] for level in levels(path)]
        assert steps[0] == {"type": "translation", "translation": [*before, *start]}
        assert steps[1] == {"type": "translation", "translation": [*before, 400.0, 42.0, -16.5]}
        assert steps[2] == {"type": "translation", "translation": [*before, 420.0, 54.0, -5.5]}
    assert open_segmentation(tmp_path, key="labels/a").offset_nm == start


def test_a_pyramid_that_is_broken_off_is_a_shorter_one_and_goes_on(out, monkeypatch):
    path, pool, calls = out / "labels" / "segmentation", pyramid.pooled, []

    def break_off(array, factor, *, kind):
        calls.append(array.shape)
        if stop and len(calls) == 3:
            raise KeyboardInterrupt
        return pool(array, factor, kind=kind)

    monkeypatch.setattr(pyramid, "pooled", break_off)
    stop = True
    with pytest.raises(KeyboardInterrupt):
        add_pyramid(path, kind="labels")
    assert scales(path) == [[40, 12, 11], [40, 24, 22]]
    assert sorted(zarr.open_group(path, mode="r").array_keys()) == ["0", "1", "2.part"]
    assert open_segmentation(out).levels_nm == (SIZE, (40, 24, 22))
    calls.clear()
    stop = False
    assert add_pyramid(path, kind="labels") == 4
    assert len(calls) == 2, "the level that was whole is not made again"
    assert sorted(zarr.open_group(path, mode="r").array_keys()) == ["0", "1", "2", "3"]
    np.testing.assert_array_equal(open_level(path, 2)[...], slowly(slowly(LABELS, (1, 2, 2), "labels"), (2, 2, 2), "labels"))


def test_an_image_gets_as_many_levels_as_its_labels(out, tmp_path):
    count = add_pyramid(out / "labels" / "segmentation", kind="labels")
    coarse = tmp_path / "coarse"
    create_image(coarse, shape_czyx=(1, 2, 3, 4), chunks=(1, 2, 3, 4), dtype="uint8", voxel_size_nm=SIZE, attributes={})
    assert add_pyramid(coarse, kind="image", levels=count) == count
    assert [open_level(coarse, n).shape[1:] for n in range(count)] == [(2, 3, 4), (2, 2, 2), (1, 1, 1), (1, 1, 1)]


def test_pyramid_of_a_single_section(tmp_path, monkeypatch):
    monkeypatch.setattr(pyramid, "_COARSEST", 8)
    create_labels(
        tmp_path, "a", shape=(1, 9, 20), chunks=(1, 8, 8), dtype="uint8", voxel_size_nm=(4.0, 40.0, 40.0), attributes={}
    )
    add_pyramid(tmp_path / "labels" / "a", kind="labels")
    assert open_level(tmp_path / "labels" / "a", 2).shape == (1, 3, 5)


def test_small_images_need_no_pyramid(out, monkeypatch):
    monkeypatch.setattr(pyramid, "_COARSEST", 256)
    assert add_pyramid(out, kind="image") == 1
    assert "1" not in zarr.open_group(store=str(out), mode="r")


def test_progress_ends_with_all_voxels(out):
    told = []
    add_pyramid(out, kind="image", progress=lambda *words: told.append(words))
    assert told[0] == ("coarsening to 2 x 9 x 15 x 21", 0, 9 * 15 * 21)
    assert {what for what, done, of in told if done == of} == {what for what, _, _ in told}


def test_neither_background_nor_segments_grow():
    halves = (np.random.default_rng(1).random((40, 44, 48)) < 0.5).astype(np.uint8)
    coarse = pooled(halves, (2, 2, 2), kind="labels")
    assert coarse.mean() == pytest.approx(halves.mean(), abs=0.02)

"""An image that lies somewhere, labels that do not tell where, and a part that was segmented."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import zarr
from tests_models import SHAPE, VOXEL_SIZE, write_model, write_volume

import pytc_auto
from pytc_auto.cli import main
from pytc_auto.geometry import Box
from pytc_auto.io.open import open_segmentation

BOX = Box((3, 5, 8), (17, 24, 30))
OFFSET = tuple(n * s for n, s in zip((1, 2, 3), VOXEL_SIZE, strict=True))


def store(path, array, offset=None):
    with h5py.File(path, "w") as file:
        data = file.create_dataset("main", data=array)
        data.attrs["resolution"] = VOXEL_SIZE
        if offset:
            data.attrs["offset"] = offset
    return path


@pytest.fixture
def part(tmp_path):
    """Predicted of an image that begins one, two and three voxels from zero; then it shows cubes, as if they had been found."""
    image = write_volume(tmp_path / "cell.h5")
    with h5py.File(image, "r+") as file:
        file["main"].attrs["offset"] = OFFSET
    (out,) = pytc_auto.predict([image], model=write_model(tmp_path / "model"), out=tmp_path / "part", box=BOX)
    z, y, x = (np.arange(n) // 5 for n in BOX.shape)
    zarr.open_array(out / "labels/segmentation/0")[:] = 1 + x + 5 * y[:, None] + 25 * z[:, None, None]
    return out


@pytest.fixture
def labels(part):
    """Those of the whole image; in the part they are what was found."""
    found = open_segmentation(part)
    whole = np.full(SHAPE, 9999, np.uint32)
    whole[BOX.slices] = found.read(found.box)
    return whole


def scored(*files, **options):
    said = []
    return pytc_auto.evaluate(*files, say=said.append, **options), said


def test_labels_without_an_offset_begin_where_the_image_does(tmp_path, part, labels):
    assert len(np.unique(labels)) > 50
    scores, said = scored(part, store(tmp_path / "labels.h5", labels))
    assert (scores["voi"], scores["adapted_rand"]) == (0, 0)
    (told,) = said
    assert "labels.h5:main tells no offset; it is taken to begin where the image does" in told
    assert "voxel [3, 5, 8] of it (z, y, x) is the segmentation's first" in told
    scores, _ = scored(part, tmp_path / "labels.h5", box=Box((4, 6, 9), (16, 20, 25)), kind="instances")
    assert scores["voi"] == 0


def test_labels_that_tell_their_offset_are_placed_by_it(tmp_path, part, labels):
    scores, said = scored(part, store(tmp_path / "labels.h5", labels, OFFSET))
    assert (scores["voi"], said) == (0, [])


def test_of_another_segmentation_the_offset_counts_and_what_is_assumed_is_told(tmp_path, part, labels):
    found = open_segmentation(part)
    first = tuple(a * s for a, s in zip(BOX.start, VOXEL_SIZE, strict=True))
    copied = store(tmp_path / "copy.h5", found.read(found.box), first)
    scores, said = scored(copied, store(tmp_path / "labels.h5", labels))
    assert scores["voi"] == 0
    assert [text.split(", and")[0] for text in said] == [f"{tmp_path}/labels.h5:main tells no offset; it is taken to begin at 0"]


def test_the_command_line_tells_it(tmp_path, part, labels, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["pytc", "evaluate", str(part), str(store(tmp_path / "labels.h5", labels))])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0
    assert "Note: " in (text := " ".join(capsys.readouterr().out.split()))
    assert "begin where the image does" in text

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import zarr

from pytc_auto.errors import DataError, OutputError
from pytc_auto.pipeline.volume_list import find_volumes

STACK = np.zeros((3, 8, 10), np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Two arrays, a zarr volume, a folder of sections and what is no volume."""
    place = tmp_path / "in"
    place.mkdir()
    for name in ("b", "a"):
        np.save(place / f"{name}.npy", STACK)
    zarr.save(place / "c.zarr", STACK)
    (place / "d").mkdir()
    for number in range(3):
        tifffile.imwrite(place / "d" / f"{number}.tif", STACK[0])
    (place / "notes.md").write_text("no volume")
    (place / ".hidden.npy").write_text("")
    return place


def names(found, folder):
    return [path.removeprefix(f"{folder}/") for path in found.paths]


def test_a_single_volume_stays_as_it_was_named(folder):
    for given in (
        folder / "a.npy",
        folder / "c.zarr",
        f"{folder}/d/",
        folder / "not there.h5",
        "https://x.org/v.zarr",
        "a.h5:raw",
    ):
        found = find_volumes([given])
        assert found.paths == (str(given),)
        assert found.targets(folder / "out") == [folder / "out"]


def test_a_folder_holds_volumes_in_order_of_name(folder):
    found = find_volumes([folder])
    assert names(found, folder) == ["a.npy", "b.npy", "c.zarr", "d"]
    assert [path.name for path in found.targets(folder / "out")] == ["a", "b", "c", "d"]


def test_a_folder_of_stacks_holds_volumes_one_of_sections_is_a_volume(tmp_path):
    for name, array in (("stacks", STACK), ("sections", STACK[0])):
        (tmp_path / name).mkdir()
        for number in range(2):
            tifffile.imwrite(tmp_path / name / f"{number}.tif", array, photometric="minisblack")
    assert names(find_volumes([tmp_path / "stacks"]), tmp_path) == ["stacks/0.tif", "stacks/1.tif"]
    assert names(find_volumes([tmp_path / "sections"]), tmp_path) == ["sections"]


def test_globs_are_expanded_with_a_key_or_without(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert find_volumes(["*.npy"]).paths == ("a.npy", "b.npy")
    assert find_volumes([f"{folder}/[bc].*"]).paths == (f"{folder}/b.npy", f"{folder}/c.zarr")
    assert find_volumes(["**/?.tif"]).paths == ("d/0.tif", "d/1.tif", "d/2.tif")
    assert find_volumes(["*.npy:raw"]).paths == ("a.npy:raw", "b.npy:raw")
    assert find_volumes(["b*"]).targets(folder / "out") == [folder / "out" / "b"]
    np.save(folder / "e[1].npy", STACK)
    assert find_volumes(["e[1].npy"]).paths == ("e[1].npy",)


def test_a_list_counts_from_its_own_folder(folder):
    (folder / "list.txt").write_text("# these two\nb.npy  # the second\n\n  c.*\nhttps://x.org/v.zarr\ngone.h5\n")
    found = find_volumes([folder / "list.txt", folder / "d"])
    assert names(found, folder) == ["b.npy", "c.zarr", "https://x.org/v.zarr", "gone.h5", "d"]
    assert [path.name for path in found.targets(folder / "out")] == ["b", "c", "v", "gone", "d"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"# nothing\n\n", "lists no volume"),
        (b"\xff\xfe\x00", "cannot be read as a list"),
        (b"no*.h5\n", "no\\*.h5: matches nothing"),
    ],
)
def test_a_list_without_volumes_is_refused(folder, content, told):
    (folder / "list.txt").write_bytes(content)
    with pytest.raises(DataError, match=told):
        find_volumes([folder / "list.txt"])


def test_nothing_found_is_an_error(folder):
    with pytest.raises(DataError, match=r"\*\.h5: matches nothing"):
        find_volumes([folder / "*.h5"])
    (folder / "empty" / "images").mkdir(parents=True)
    with pytest.raises(DataError, match=r"empty: holds no volume.*Did you mean .*empty/images\?"):
        find_volumes([folder / "empty"])


def test_two_of_a_name_are_both_told(folder, tmp_path):
    np.save(tmp_path / "a.npy", STACK)
    np.save(tmp_path / "a.b.npy", STACK)
    assert len(find_volumes([folder / "a.npy", tmp_path / "a.b.npy"]).targets(tmp_path / "out")) == 2
    for first, second in ((folder / "a.npy", tmp_path / "a.npy"), (f"{folder}/c.zarr", f"{folder}/c.zarr:x")):
        with pytest.raises(OutputError, match=f"would be the result of both {first} and {second}"):
            find_volumes([first, folder / "b.npy", second]).targets(tmp_path / "out")


def test_several_do_not_go_into_the_result_of_one(folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "zarr.json").write_text("{}")
    with pytest.raises(OutputError, match="is the result of a single volume"):
        find_volumes([folder]).targets(tmp_path / "out")

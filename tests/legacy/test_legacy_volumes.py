import json

import h5py
import numpy as np
import pytest
import tifffile

from pytc_auto.io.open import open_volume
from pytc_auto.legacy.config import V1Config, defaults
from pytc_auto.legacy.folds import folds_of, in_order
from pytc_auto.legacy.volumes import Named, named_volumes


def named(folder, **changes):
    values = {"INPUT_PATH": "data", **changes}
    return named_volumes(V1Config(defaults()).replace({f"DATASET.{key}": value for key, value in values.items()}), folder)


def paths(found):
    return [volume.image for volume in found.volumes]


def touch(*files):
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(file, np.zeros((2, 3, 4), np.uint8))


def test_names_are_joined_to_the_input_path(tmp_path):
    touch(*(tmp_path / "data" / name for name in ("a.tif", "b.tif", "la.tif", "lb.tif")))
    for image, label in (("a.tif@b.tif", "la.tif@lb.tif"), (["a.tif", "b.tif"], ["la.tif", "lb.tif"])):
        found = named(tmp_path, IMAGE_NAME=image, LABEL_NAME=label)
        data = tmp_path / "data"
        assert found.volumes == [
            Named(str(data / "a.tif"), str(data / "la.tif"), False),
            Named(str(data / "b.tif"), str(data / "lb.tif"), False),
        ]
        assert found.told == []


def test_each_name_may_have_a_folder_of_its_own(tmp_path):
    touch(tmp_path / "one" / "a.tif", tmp_path / "two" / "b.tif")
    found = named(tmp_path, INPUT_PATH="one@two", IMAGE_NAME="a.tif@b.tif")
    assert paths(found) == [str(tmp_path / "one" / "a.tif"), str(tmp_path / "two" / "b.tif")]
    odd = named(tmp_path, INPUT_PATH="one@two@three", IMAGE_NAME="a.tif@b.tif")
    assert "3 folders in DATASET.INPUT_PATH do not go with 2 names" in odd.told[0][1]


def test_a_text_file_lists_absolute_paths(tmp_path):
    touch(tmp_path / "x" / "a.tif", tmp_path / "x" / "b.tif")
    (tmp_path / "images.txt").write_text(f"{tmp_path}/x/a.tif\n{tmp_path}/x/b.tif\n\n")
    found = named(tmp_path, IMAGE_NAME="images.txt", IS_ABSOLUTE_PATH=True)
    assert paths(found) == [str(tmp_path / "x" / "a.tif"), str(tmp_path / "x" / "b.tif")]
    absent = named(tmp_path, IMAGE_NAME="none.txt", IS_ABSOLUTE_PATH=True)
    assert absent.volumes == []
    assert absent.told == [
        ("DATASET.IMAGE_NAME", f"the list {tmp_path / 'none.txt'} cannot be read; give dataset.yaml the volumes")
    ]


def test_sections_by_pattern(tmp_path):
    touch(*(tmp_path / "data" / "image" / sub / "s.tif" for sub in ("c", "a", "b")))
    found = named(tmp_path, IMAGE_NAME="image/**/*.tif", LOAD_2D=True)
    assert paths(found) == [str(tmp_path / "data" / "image" / sub / "s.tif") for sub in "abc"]


def test_the_first_data_set_of_a_container(tmp_path):
    (tmp_path / "data").mkdir()
    with h5py.File(tmp_path / "data" / "a.h5", "w") as file:
        for name in ("main", "extra"):
            file[name] = np.full((2, 3, 4), name == "extra", np.uint8)
    (image,) = paths(named(tmp_path, IMAGE_NAME="a.h5"))
    assert image == f"{tmp_path / 'data' / 'a.h5'}:extra"
    assert open_volume(image).shape == (2, 3, 4)


def test_what_is_not_there_is_told_and_kept(tmp_path):
    found = named(tmp_path, IMAGE_NAME="a.h5@b.h5", LABEL_NAME="la.h5")
    assert paths(found) == [str(tmp_path / "data" / name) for name in ("a.h5", "b.h5")]
    assert [volume.labels for volume in found.volumes] == [None, None]
    told = dict(found.told)
    assert "is not there" in told["DATASET.IMAGE_NAME"]
    assert "1 label volumes do not go with 2 images; v1 itself refuses them" in told["DATASET.LABEL_NAME"]


def tiles(folder, images, **changes):
    facts = {"dtype": "uint8", "image": images, "height": 3, "width": 4, "depth": len(images), "tile_size": 4, "tile_ratio": 1}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "im.json").write_text(json.dumps({**facts, "tile_st": [0, 0], **changes}))


@pytest.mark.parametrize("pattern", ["{data}/s/{z:03}.tif", "s/{z:03}.tif", "{data}/s/{z:03}_{{row}}_{{column}}.tif"])
def test_tiles_of_one_file_a_section_are_a_folder(tmp_path, pattern):
    data = tmp_path / "data"
    images = [pattern.format(data=data, z=z) for z in range(3)]
    files = [data / image.replace("{row}", "0").replace("{column}", "0") for image in images]
    for z, file in enumerate(files):
        file.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(file, np.full((3, 4), z, np.uint8))
    tiles(data, images)
    found = named(tmp_path, IMAGE_NAME="im.json", DO_CHUNK_TITLE=1)
    assert (paths(found), found.told) == ([str(data / "s")], [])
    volume = open_volume(paths(found)[0])
    assert volume.read(volume.box)[:, 0, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("images", "changes", "told"),
    [
        (["s/{row}_{column}.png"] * 2, {"tile_size": 2}, "lists several tiles for a section"),
        (["s/{row}_{column}.png"] * 2, {"tile_ratio": 2}, "lists several tiles for a section"),
        (["s/0.tif", "t/1.tif"], {}, "lists sections of several folders"),
        (["s/0.tif", "s/1.tif"], {}, "s, which im.json lists, is not there"),
        (["s/0.tif"], {"depth": "many"}, "cannot be read as v1's list of tiles (ValueError)"),
        (3, {"depth": 1}, "cannot be read as v1's list of tiles (TypeError)"),
    ],
)
def test_other_tiles_are_told(tmp_path, images, changes, told):
    tiles(tmp_path / "data", images if isinstance(images, list) else [], **({"image": images} if images == 3 else {}), **changes)
    found = named(tmp_path, IMAGE_NAME="im.json", DO_CHUNK_TITLE=1)
    assert told in found.told[0][1]
    assert len(found.volumes) == 1


def test_a_folder_with_other_sections_is_told(tmp_path):
    touch(*(tmp_path / "data" / "s" / f"{z}.tif" for z in range(3)))
    tiles(tmp_path / "data", [f"s/{z}.tif" for z in range(2)])
    assert "holds other sections than im.json lists" in named(tmp_path, IMAGE_NAME="im.json").told[0][1]


def test_validation_volumes_are_held_out(tmp_path):
    touch(*(tmp_path / "data" / f"{name}.tif" for name in "abvw"))
    names = {"IMAGE_NAME": "a.tif@b.tif", "LABEL_NAME": "a.tif@b.tif", "VAL_IMAGE_NAME": "v.tif", "VAL_LABEL_NAME": "w.tif"}
    found = named(tmp_path, **names)
    assert [volume.held_out for volume in found.volumes] == [False, False, True]


@pytest.mark.parametrize(("learned", "held"), [(1, 1), (2, 1), (5, 1), (3, 2), (4, 3), (1, 4), (3, 0), (0, 2), (9, 4)])
def test_fold_0_holds_out_what_v1_validated_on(learned, held):
    volumes = [Named(f"l{i}", "x", False) for i in range(learned)] + [Named(f"h{i}", "x", True) for i in range(held)]
    ordered = in_order([*volumes, Named("n", None, False)])
    assert sorted(v.image for v in ordered) == sorted([*(v.image for v in volumes), "n"])
    folds = folds_of(ordered, (9, 65, 65), None)
    out = [v.image for i, v in enumerate(ordered[:-1]) if i % folds["count"] == 0]
    assert folds["count"] >= 2
    if learned and held:
        assert set(out) <= {f"h{i}" for i in range(held)}
        assert len(out) == held or learned < held or (learned, held) == (4, 3)


def test_a_single_volume_is_divided_along_its_longest_axis():
    volumes = [Named("a", "b", False)]
    assert folds_of(volumes, (9, 65, 65), None) == {
        "kind": "slab",
        "axis": "x",
        "count": 1,
        "train": 0.75,
        "guard": 32,
        "members": 1,
    }
    slab = folds_of(volumes, (9, 65, 65), (200, 90, 80))
    assert (slab["axis"], slab["guard"]) == ("z", 4)
    assert folds_of(volumes, (9, 65, 65), (20, 90, 90))["guard"] == 11


def test_masks_go_with_their_images(tmp_path):
    touch(*(tmp_path / "data" / f"{name}.tif" for name in ("a", "b", "la", "lb", "ma", "mb", "v", "lv", "mv")))
    names = {"IMAGE_NAME": "a.tif@b.tif", "LABEL_NAME": "la.tif@lb.tif", "VALID_MASK_NAME": ["ma.tif", "mb.tif"]}
    found = named(tmp_path, **names, VAL_IMAGE_NAME="v.tif", VAL_LABEL_NAME="lv.tif", VAL_VALID_MASK_NAME="mv.tif")
    data = tmp_path / "data"
    assert [volume.mask for volume in found.volumes] == [str(data / f"m{name}.tif") for name in "abv"]
    assert found.told == []
    odd = named(tmp_path, **{**names, "VALID_MASK_NAME": "ma.tif"})
    assert [volume.mask for volume in odd.volumes] == [None, None]
    assert odd.told == [("DATASET.VALID_MASK_NAME", "1 masks do not go with 2 images; v1 itself refuses them. They are left out")]

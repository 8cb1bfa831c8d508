from __future__ import annotations

import h5py
import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr

from pytc_auto.errors import DataError, PlanError
from pytc_auto.io.dataset import find_dataset
from pytc_auto.io.open import open_volume

RAW = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
SIZE = (40.0, 5.0, 4.0)


def write(root, name, *, image=RAW, labels=RAW, size=SIZE):
    for side, array in (("images", image), ("labels", labels)):
        (root / side).mkdir(parents=True, exist_ok=True)
        if array is not None:
            with h5py.File(root / side / f"{name}.h5", "w") as file:
                file["main"] = array
                if size:
                    file["main"].attrs["resolution"] = size
    return root


def faults(root, **options):
    with pytest.raises(DataError) as caught:
        find_dataset(root, **options)
    return str(caught.value).split("\n")


def test_two_volumes(tmp_path, monkeypatch):
    write(tmp_path / "set", "b")
    write(tmp_path / "set", "a")
    monkeypatch.chdir(tmp_path)
    found = find_dataset("set").dataset
    assert found.root == str(tmp_path / "set")
    assert [v.name for v in found.volumes] == ["a", "b"]
    first = found.volumes[0]
    assert first.image == f"{tmp_path / 'set' / 'images' / 'a.h5'}:main"
    assert first.labels == f"{tmp_path / 'set' / 'labels' / 'a.h5'}:main"
    assert (first.voxel_size_nm, first.axes, first.unlabeled_sections) == (SIZE, "zyx", [])
    assert open_volume(first.image).shape == (3, 4, 5)
    assert (found.task, found.unlabeled, found.class_names) == (None, [], {})


def test_formats_may_differ(tmp_path):
    write(tmp_path, "a", labels=None)
    tifffile.imwrite(tmp_path / "labels" / "a.ome.tif", RAW, metadata={"axes": "ZYX"})
    assert find_dataset(tmp_path).dataset.volumes[0].labels.endswith("a.ome.tif")


def test_section_folders(tmp_path):
    for side in ("images", "labels"):
        (tmp_path / side / "stack1").mkdir(parents=True)
        for number, section in enumerate(RAW):
            (tmp_path / side / "stack1" / f"{number}.png").write_bytes(imagecodecs.png_encode(section))
    (tmp_path / "dataset.yaml").write_text(
        "voxel_size_nm: [45, 4.6, 4.6]\ntask: objects\nunlabeled: [7]\nclass_names: {1: mito}\n"
    )
    found = find_dataset(tmp_path).dataset
    assert found.volumes[0].image == str(tmp_path / "images" / "stack1")
    assert found.volumes[0].voxel_size_nm == (45.0, 4.6, 4.6)
    assert (found.task, found.unlabeled, found.class_names) == ("objects", [7], {1: "mito"})


def test_loose_sections_are_one_stack(tmp_path):
    for side in ("images", "labels"):
        (tmp_path / side).mkdir()
        for number, section in enumerate(RAW):
            (tmp_path / side / f"{number}.png").write_bytes(imagecodecs.png_encode(section))
    found = find_dataset(tmp_path, voxel_size_nm=SIZE).dataset
    assert [(v.name, open_volume(v.image).shape) for v in found.volumes] == [("stack", (3, 4, 5))]


def test_order_of_voxel_sizes(tmp_path):
    write(tmp_path / "stored", "a")
    write(tmp_path / "bare", "a", size=None)
    for name in ("stored", "bare"):
        (tmp_path / name / "dataset.yaml").write_text("voxel_size_nm: [3, 2, 1]\n")
    assert find_dataset(tmp_path / "stored").dataset.volumes[0].voxel_size_nm == SIZE
    assert find_dataset(tmp_path / "bare").dataset.volumes[0].voxel_size_nm == (3.0, 2.0, 1.0)
    assert find_dataset(tmp_path / "stored", voxel_size_nm=(9.0, 8.0, 7.0)).dataset.volumes[0].voxel_size_nm == (9.0, 8.0, 7.0)


def test_missing_voxel_size_names_the_three_ways(tmp_path):
    (fault,) = faults(write(tmp_path, "a", size=None))
    assert "images/a.h5:main: the voxel size is not known" in fault
    assert all(way in fault for way in ("in the file", "dataset.yaml", "--voxel-size Z,Y,X"))


def test_xyz_files(tmp_path):
    write(tmp_path, "a")
    (tmp_path / "dataset.yaml").write_text("axes: xyz\n")
    (volume,) = find_dataset(tmp_path).dataset.volumes
    assert (volume.axes, volume.voxel_size_nm) == ("xyz", SIZE[::-1])
    assert open_volume(volume.image, axes=volume.axes).shape == (5, 4, 3)


def test_task_argument_wins(tmp_path):
    write(tmp_path, "a")
    (tmp_path / "dataset.yaml").write_text("task: objects\n")
    assert find_dataset(tmp_path, task="neurons").dataset.task == "neurons"


def test_images_without_labels_folder(tmp_path):
    write(tmp_path, "a", labels=None)
    (tmp_path / "labels").rmdir()
    assert faults(tmp_path) == [f"{tmp_path / 'labels'}: is missing. Put labels here, under the names of their images."]


def test_every_lonely_volume_is_named(tmp_path):
    write(tmp_path, "a")
    write(tmp_path, "sample_1", labels=None)
    write(tmp_path, "other", labels=None)
    write(tmp_path, "sample-1", image=None)
    (tmp_path / "labels" / "other.dm3").write_bytes(b"12345678")
    other, sample, labels = faults(tmp_path)
    assert other.startswith(
        f"{tmp_path / 'labels' / 'other'}: is missing, but images/other is there. labels/other.dm3 is there, but its"
    )
    assert "Did you mean labels/sample-1? Names must be equal. Add it or move images/sample_1 elsewhere." in sample
    assert labels.startswith(
        f"{tmp_path / 'images' / 'sample-1'}: is missing, but labels/sample-1 is there. Did you mean images/sample_1"
    )


def test_name_used_twice(tmp_path):
    write(tmp_path, "a")
    np.save(tmp_path / "images" / "a.npy", RAW)
    assert faults(tmp_path) == [f"{tmp_path / 'images'}: a.h5 and a.npy have the same name. Keep one."]


def test_nothing_readable(tmp_path):
    for side in ("images", "labels"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "notes.txt").write_text("nothing")
    first, second = faults(tmp_path)
    assert f"{tmp_path / 'images'}: holds nothing readable" in first
    assert f"{tmp_path / 'labels'}: holds nothing readable" in second


def test_the_folder_below_or_the_container_is_suggested(tmp_path):
    write(tmp_path / "fib" / "train", "a")
    assert f"Did you mean {tmp_path / 'fib' / 'train'}?" in faults(tmp_path / "fib")[0]
    (tmp_path / "one").mkdir()
    with h5py.File(tmp_path / "one" / "all.h5", "w") as file:
        file["raw"] = RAW
    assert f"Did you mean {tmp_path / 'one' / 'all.h5'}?" in faults(tmp_path / "one")[0]
    assert "is a folder with images/ and labels/" in faults(tmp_path / "none")[0]
    np.save(tmp_path / "a.npy", RAW)
    assert "a.npy: is a single volume. A data set is" in faults(tmp_path / "a.npy")[0]


def test_all_faults_together(tmp_path):
    write(tmp_path, "a", labels=RAW[:2])
    write(tmp_path, "b", size=None)
    write(tmp_path, "c", labels=RAW + 0.5)
    write(tmp_path, "d", image=np.stack([RAW, RAW]))
    (tmp_path / "images" / "e.tif").write_bytes(b"II*\x00nothing")
    tifffile.imwrite(tmp_path / "labels" / "e.tif", np.zeros((3, 4, 5, 3), np.uint8), photometric="rgb")
    found = faults(tmp_path)
    assert len(found) == 6
    assert "labels/a.h5:main: the labels have shape (2, 4, 5), but the image" in found[0]
    assert "has (3, 4, 5) (z, y, x)" in found[0]
    assert "b.h5:main: the voxel size is not known" in found[1]
    assert "c.h5:main: labels must be whole numbers, but the value at z 0, y 0, x 0 is 0.5" in found[2]
    assert "d.h5:main: has 2 channels" in found[3]
    assert "e.tif: is truncated or damaged" in found[4]
    assert "e.tif: has 3 channels (RGB or the like)" in found[5]


@pytest.mark.parametrize("odd", [2.25, np.nan, np.inf])
def test_the_odd_float_label_is_found(tmp_path, odd):
    labels = np.zeros((3, 4, 5), np.float32)
    labels[2, 1, 3] = odd
    (fault,) = faults(write(tmp_path, "a", labels=labels))
    assert f"at z 2, y 1, x 3 is {odd:g}" in fault


def test_whole_float_labels_are_fine(tmp_path):
    assert find_dataset(write(tmp_path, "a", labels=RAW.astype(np.float32))).dataset.volumes


def test_voxel_sizes_that_differ(tmp_path):
    write(tmp_path, "a", size=(40.0, 5.0, 4.0))
    write(tmp_path, "b", size=(40.0, 5.0, 4.1))
    assert len(find_dataset(tmp_path).dataset.volumes) == 2
    write(tmp_path, "c", size=(40.0, 5.0, 4.4))
    (fault,) = faults(tmp_path)
    assert "differ in voxel size by more than 5 %: a: 40 x 5 x 4 nm (z, y, x); b: 40 x 5 x 4.1 nm" in fault
    assert "c: 40 x 5 x 4.4 nm" in fault
    assert find_dataset(tmp_path, voxel_size_nm=SIZE)


def test_image_and_labels_that_contradict_each_other(tmp_path):
    write(tmp_path, "a")
    with h5py.File(tmp_path / "labels" / "a.h5", "a") as file:
        file["main"].attrs["resolution"] = (30.0, 5.0, 4.0)
    (fault,) = faults(tmp_path)
    assert "the labels' voxel size is 30 x 5 x 4 nm (z, y, x), but the image" in fault
    assert find_dataset(tmp_path, voxel_size_nm=SIZE)


def test_unknown_field_in_dataset_yaml(tmp_path):
    write(tmp_path, "a")
    (tmp_path / "dataset.yaml").write_text("voxel_size: [1, 1, 1]\n")
    with pytest.raises(PlanError, match=r"voxel_size: unknown field. Did you mean voxel_size_nm"):
        find_dataset(tmp_path)


def container(path, **arrays):
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            file[key.replace("__", "/")] = array
            file[key.replace("__", "/")].attrs["resolution"] = SIZE
    return path


@pytest.mark.parametrize(
    ("arrays", "image", "labels"),
    [
        ({"raw": RAW, "labels": RAW}, "raw", "labels"),
        (
            {"volumes__raw": RAW, "volumes__labels__neuron_ids": RAW, "volumes__labels__clefts": RAW},
            "volumes/raw",
            "volumes/labels/neuron_ids",
        ),
        ({"stack": RAW, "Truth": RAW}, "stack", "Truth"),
        ({"em": RAW, "other": RAW, "gt": RAW}, "em", "gt"),
    ],
)
def test_container(tmp_path, arrays, image, labels):
    path = container(tmp_path / "all.h5", **arrays)
    (volume,) = find_dataset(path).dataset.volumes
    assert (volume.name, volume.image, volume.labels) == ("all", f"{path}:{image}", f"{path}:{labels}")


def test_container_with_declared_keys(tmp_path):
    path = container(tmp_path / "all.h5", one=RAW, two=RAW, three=RAW)
    first, second = faults(path)
    assert "no data set in it is known as image; it holds one (3, 4, 5), three (3, 4, 5), two" in first
    assert "Declare labels_key in dataset.yaml beside it" in second
    (tmp_path / "dataset.yaml").write_text("image_key: two\nlabels_key: one\n")
    assert find_dataset(path).dataset.volumes[0].labels == f"{path}:one"
    (tmp_path / "dataset.yaml").write_text("image_key: two\nlabels_key: four\n")
    assert "has no data set four; it holds" in faults(path)[0]


def ome_container(path, *labels):
    group = zarr.open_group(store=str(path), mode="w", zarr_format=3)
    for node, name in ((group, "raw"), *((group.create_group(f"labels/{name}"), name) for name in labels)):
        node.create_array("0", shape=RAW.shape, dtype="uint8")[...] = RAW
        levels = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": SIZE}]}]
        axes = [{"name": a, "unit": "nanometer"} for a in "zyx"]
        node.attrs["ome"] = {"version": "0.5", "multiscales": [{"name": name, "axes": axes, "datasets": levels}]}
    return path


def test_ome_zarr_container(tmp_path):
    path = ome_container(tmp_path / "a.zarr", "cells")
    (volume,) = find_dataset(path).dataset.volumes
    assert (volume.image, volume.labels, volume.voxel_size_nm) == (str(path), f"{path}:labels/cells", SIZE)


def test_ome_zarr_container_with_several_labels(tmp_path):
    path = ome_container(tmp_path / "a.zarr", "cells", "axons")
    assert "no data set in it is known as labels" in faults(path)[0]
    (path / "dataset.yaml").write_text("labels_key: labels/axons\n")
    (volume,) = find_dataset(path).dataset.volumes
    assert (volume.image, volume.labels) == (str(path), f"{path}:labels/axons")


def test_containers_in_the_folders(tmp_path):
    for side in ("images", "labels"):
        (tmp_path / side).mkdir()
        container(tmp_path / side / "a.h5", raw=RAW, labels=RAW, weights=RAW)
    (volume,) = find_dataset(tmp_path).dataset.volumes
    assert (volume.image[-6:], volume.labels[-9:]) == ("h5:raw", "h5:labels")
    (tmp_path / "dataset.yaml").write_text("image_key: weights\n")
    assert find_dataset(tmp_path).dataset.volumes[0].image.endswith("a.h5:weights")


@pytest.mark.parametrize(
    ("name", "shape", "size"),
    [
        ("fib25", (130, 250, 250), (10.0, 10.0, 10.0)),
        ("vnc_mito", (20, 576, 1024), (45.0, 4.6, 4.6)),
        ("vnc_organelles", (20, 576, 1024), (45.0, 4.6, 4.6)),
        ("isbi2012", (18, 512, 512), (50.0, 4.0, 4.0)),
    ],
)
def test_real_data(data_folder, name, shape, size):
    (volume,) = find_dataset(data_folder / name / "train").dataset.volumes
    assert volume.voxel_size_nm == size
    assert open_volume(volume.image).shape == open_volume(volume.labels).shape == shape


def test_real_data_without_a_voxel_size(data_folder):
    assert "voxel size is not known" in faults(data_folder / "gala" / "train")[0]
    assert find_dataset(data_folder / "gala" / "train", voxel_size_nm=(10.0, 10.0, 10.0)).dataset.volumes[0].name == "train"


@pytest.mark.parametrize("size", ["0.01,0.01,0.01", "5e7,1,1"])
def test_a_voxel_size_in_other_units_is_refused(tmp_path, size):
    write(tmp_path, "a", size=tuple(map(float, size.split(","))))
    (fault,) = faults(tmp_path)
    assert "smaller than an atom or larger than a millimeter. Give nanometers: micrometers times 1000" in fault
    assert find_dataset(tmp_path, voxel_size_nm=SIZE).dataset.volumes[0].voxel_size_nm == SIZE


def test_folders_of_other_names_are_pointed_to(tmp_path):
    write(tmp_path, "a")
    (tmp_path / "images").rename(tmp_path / "Raw")
    (tmp_path / "labels").rename(tmp_path / "masks")
    assert faults(tmp_path) == [
        f"{tmp_path / 'images'}: is missing. If {tmp_path / 'Raw'} holds the images, call it images.",
        f"{tmp_path / 'labels'}: is missing. If {tmp_path / 'masks'} holds the labels, call it labels.",
    ]


def test_the_folder_above_is_suggested(tmp_path):
    write(tmp_path, "a")
    assert f"Did you mean {tmp_path}?" in faults(tmp_path / "images")[0]


def test_what_cannot_be_read_is_named(tmp_path):
    write(tmp_path, "a", image=None)
    (tmp_path / "images/a.npy.gz").touch()
    (tmp_path / "images/b.tif").symlink_to("nowhere.tif")
    (tmp_path / "images/day1").mkdir()
    (fault,) = faults(tmp_path)
    assert "images: holds nothing readable, but a.npy.gz, b.tif (a link to nowhere), day1/. Put the images here" in fault


def test_the_names_on_the_other_side_are_told(tmp_path):
    write(tmp_path, "a_raw", labels=None)
    write(tmp_path, "a_segmented", image=None)
    assert "images/ holds a_raw. Names must be equal. Add it or move" in faults(tmp_path)[0]


def test_labels_of_some_sections(tmp_path):
    write(tmp_path, "a", labels=RAW[:2])
    assert "For sections without labels put blank ones (all 0): such a section counts as unlabeled." in faults(tmp_path)[0]
    write(tmp_path / "other", "a", labels=RAW[:2, 1:])
    assert "blank" not in faults(tmp_path / "other")[0]


def test_another_suffix_of_dataset_yaml_is_refused(tmp_path):
    write(tmp_path, "a")
    (tmp_path / "dataset.yml").write_text("task: neurons\n", encoding="utf-8")
    assert faults(tmp_path) == [f"{tmp_path / 'dataset.yml'}: is not read under this name. Call it dataset.yaml."]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"voxel_size_nm: 10\n", r"voxel_size_nm: Input should be a list, such as \[1, 2, 3\] \(got 10\)"),
        ("class_names: {1: Größe}\n".encode("latin-1"), "Save it as UTF-8"),
    ],
)
def test_a_dataset_yaml_that_cannot_be_used_says_what_to_do(tmp_path, content, message):
    write(tmp_path, "a")
    (tmp_path / "dataset.yaml").write_bytes(content)
    with pytest.raises(PlanError, match=message):
        find_dataset(tmp_path)


@pytest.mark.parametrize("side", ["images", "labels"])
def test_a_link_to_nowhere_is_told(tmp_path, side):
    root = write(tmp_path / "set", "a")
    (root / side / "b.h5").symlink_to(tmp_path / "unmounted" / "b.h5")
    (told,) = faults(root)
    assert told == (
        f"{root / side / 'b.h5'}: is a link to {tmp_path / 'unmounted' / 'b.h5'}, which is not there. "
        "Mount its disk, or remove the link."
    )


def tiffs(root, *names):
    root.mkdir(parents=True, exist_ok=True)
    for name in names:
        tifffile.imwrite(root / name, RAW, photometric="minisblack")
    return root


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["train-input.tif", "train-labels.tif", "test-input.tif"], {"train-input": "train-labels.tif", "test-input": None}),
        (["training.tif", "training_groundtruth.tif"], {"training": "training_groundtruth.tif"}),
        (["im.tif", "seg.tif"], {"im": "seg.tif"}),
        (
            ["AC3_inputs.tif", "AC3_inputs_mask.tif", "ac4_raw.tif", "ac4_seg.tif"],
            {"AC3_inputs": "AC3_inputs_mask.tif", "ac4_raw": "ac4_seg.tif"},
        ),
    ],
)
def test_files_whose_names_tell_which_are_labels(tmp_path, names, wanted):
    root = tiffs(tmp_path / "set", *names)
    (root / "thumbs.DB").write_bytes(b"")
    found = find_dataset(root, voxel_size_nm=SIZE)
    got = {v.name: v.labels and v.labels.rpartition("/")[2] for v in found.dataset.volumes}
    assert got == wanted
    assert any(said.startswith("Taken for images and labels by their names: ") for said in found.remarks)


@pytest.mark.parametrize(
    "names",
    [["a.tif", "b.tif"], ["a_labels.tif"], ["a_labels.tif", "b.tif"], ["a.tif", "a_raw.tif", "a_seg.tif"], ["seg.tif", "x.tif"]],
)
def test_names_that_do_not_tell_are_no_guess(tmp_path, names):
    root = tiffs(tmp_path / "set", *names)
    assert faults(root, voxel_size_nm=SIZE)[0].startswith(f"{root / 'images'}: is missing.")

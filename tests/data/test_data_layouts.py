"""Every layout, written to disk, found and opened again."""

from __future__ import annotations

import json

import h5py
import imagecodecs
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tifffile
import zarr
from samples import small_plan
from scipy.ndimage import gaussian_filter

from pytc_auto.data.volumes import open_volumes
from pytc_auto.errors import DataError, PlanError
from pytc_auto.geometry import Box
from pytc_auto.io.dataset import find_dataset

SHAPE = (6, 20, 28)
SIZE = (40.0, 5.0, 4.0)


def volume(seed, shape=SHAPE):
    rng = np.random.default_rng(seed)
    return rng.integers(1, 250, shape, dtype=np.uint8), rng.integers(0, 9, shape, dtype=np.uint16)


def hdf5(path, size=SIZE, offset=None, **arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "a") as file:
        for key, array in arrays.items():
            stored = file.create_dataset(key.replace("__", "/"), data=array)
            if size:
                stored.attrs["resolution"] = size
            if offset:
                stored.attrs["offset"] = offset
    return path


def png(path, section):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(imagecodecs.png_encode(section.astype(np.uint8)))


def declare(folder, **fields):
    (folder / "dataset.yaml").write_text(json.dumps(fields))


def check(path, wanted, *, size=SIZE, **options):
    """The data set holds these images and labels, by name, and no more; None for labels that are not there."""
    found = find_dataset(path, **options)
    dataset = found.dataset
    assert [v.name for v in dataset.volumes] == sorted(wanted)
    assert all(v.voxel_size_nm == size for v in dataset.volumes)
    assert [v.name for v in dataset.volumes if v.labels is None] == [n for n in sorted(wanted) if wanted[n][1] is None]
    opened = {v.name: v for v in open_volumes(dataset, small_plan(voxel_size_nm=size), memory_bytes=0)}
    assert sorted(opened) == [n for n in sorted(wanted) if wanted[n][1] is not None]
    for name, got in opened.items():
        image, labels = wanted[name]
        np.testing.assert_array_equal(got.read_image(got.box), image)
        np.testing.assert_array_equal(got.labels.read(got.labels.box), labels)
        assert got.image.voxel_size_nm == got.labels.voxel_size_nm == size
    return found


def test_images_and_labels(tmp_path):
    first, second = volume(0), volume(1, (5, 21, 30))
    for name, (image, labels) in {"a": first, "b": second}.items():
        hdf5(tmp_path / "images" / f"{name}.h5", main=image)
        hdf5(tmp_path / "labels" / f"{name}.h5", main=labels)
    assert check(tmp_path, {"a": first, "b": second}).remarks == []


def test_an_image_without_labels_is_kept(tmp_path):
    """vol2 is nearly vol1, whose labels belong to vol1."""
    first, second = volume(0), volume(1)
    hdf5(tmp_path / "images" / "vol1.h5", main=first[0])
    hdf5(tmp_path / "images" / "vol2.h5", main=second[0])
    hdf5(tmp_path / "labels" / "vol1.h5", main=first[1])
    check(tmp_path, {"vol1": first, "vol2": (second[0], None)})


def test_without_any_labels_there_is_nothing_to_learn(tmp_path):
    hdf5(tmp_path / "a.h5", main=volume(0)[0])
    declare(tmp_path, volumes=[{"name": "a", "image": "a.h5"}])
    with pytest.raises(DataError, match=r"no volume has labels\. Give the labels of one volume at least"):
        find_dataset(tmp_path)


def nnunet(root, cases, **told):
    """Cases by name: images by channel, and labels."""
    for name, (channels, labels) in cases.items():
        for channel, image in enumerate(channels):
            itk(root / "imagesTr" / f"{name}_{channel:04d}.nrrd", image)
        if labels is not None:
            itk(root / "labelsTr" / f"{name}.nrrd", labels)
    (root / "dataset.json").write_text(json.dumps({"file_ending": ".nrrd", "numTraining": len(cases), **told}))
    declare(root, voxel_size_nm=SIZE)
    return root


def itk(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))


def test_nnunet(tmp_path):
    first, second, third = volume(0), volume(1, (5, 21, 30)), volume(2)
    cases = {"em_001": ([first[0]], first[1]), "em_002": ([second[0]], second[1]), "em_003": ([third[0]], None)}
    labels = {"background": 0, "mito": 1, "er": 2, "ignore": 8}
    nnunet(tmp_path, cases, channel_names={"0": "EM"}, labels=labels)
    itk(tmp_path / "imagesTs" / "em_009_0000.nrrd", third[0])
    np.save(tmp_path / "labelsTr" / "em_003.npy", third[1])
    found = check(tmp_path, {"em_001": first, "em_002": second, "em_003": (third[0], None)}, voxel_size_nm=SIZE)
    assert found.dataset.class_names == {0: "background", 1: "mito", 2: "er"}
    assert (found.dataset.unlabeled, found.remarks) == ([8], [])


def test_nnunet_of_version_1_and_dataset_yaml_wins(tmp_path):
    image, labels = volume(0)
    nnunet(tmp_path, {"a": ([image], labels)}, modality={"0": "EM"}, labels={"0": "background", "1": "mito"})
    found = check(tmp_path, {"a": (image, labels)}, voxel_size_nm=SIZE)
    assert found.dataset.class_names == {0: "background", 1: "mito"}
    declare(tmp_path, class_names={1: "vesicle"}, unlabeled=[7])
    found = check(tmp_path, {"a": (image, labels)}, voxel_size_nm=SIZE)
    assert (found.dataset.class_names, found.dataset.unlabeled) == ({1: "vesicle"}, [7])


def test_nnunet_with_channels_and_regions(tmp_path):
    (first, labels), (second, _) = volume(0), volume(1)
    regions = {"background": 0, "whole": [1, 2], "core": 2}
    nnunet(tmp_path, {"a": ([first, second], labels)}, channel_names={"0": "SE", "1": "BSE"}, labels=regions)
    several, regional = check(tmp_path, {"a": (first, labels)}, voxel_size_nm=SIZE).remarks
    assert "imagesTr: of the channels 0 (SE), 1 (BSE), 0 is used. For another, say channel: N in dataset.yaml" in several
    assert "dataset.json: the regions whole are left out" in regional
    declare(tmp_path, channel=1)
    found = check(tmp_path, {"a": (second, labels)}, voxel_size_nm=SIZE)
    assert (found.dataset.volumes[0].channel, found.remarks) == (None, [regional])
    declare(tmp_path, channel=2)
    with pytest.raises(DataError, match=r"imagesTr/a: has no channel 2 \(_0002\), only 0, 1. Mend channel in dataset.yaml"):
        find_dataset(tmp_path)


def test_nnunet_labels_without_an_image_and_a_damaged_description(tmp_path):
    image, labels = volume(0)
    nnunet(tmp_path, {"em_1": ([image], labels)}, labels={})
    itk(tmp_path / "labelsTr" / "ems_1.nrrd", labels)
    told = (
        r"imagesTr/ems_1: is missing, but labelsTr/ems_1 is there\. imagesTr/ holds em_1\. Names must be equal\. Add it or move"
    )
    with pytest.raises(DataError, match=told):
        find_dataset(tmp_path)
    (tmp_path / "dataset.json").write_text('{"labels": ')
    with pytest.raises(DataError, match=r"dataset\.json: is truncated or damaged"):
        find_dataset(tmp_path)


def test_nnunet_without_files(tmp_path):
    nnunet(tmp_path, {}, labels={})
    (tmp_path / "imagesTr").mkdir()
    with pytest.raises(DataError, match=r"imagesTr: holds nothing readable that ends in .nrrd \(file_ending in dataset.json\)"):
        find_dataset(tmp_path)


def nisb(path, image, labels):
    group = zarr.open_group(store=str(path), mode="w", zarr_format=2)
    for key, array in (("img", image), ("seg", labels)):
        if array is not None:
            turned = array.transpose()
            group.create_array(key, shape=turned.shape, chunks=(8, 8, 8), dtype=turned.dtype)[...] = turned


@pytest.mark.parametrize("place", ["seed{}/data.zarr", "seed{}.zarr"])
def test_nisb_seeds(tmp_path, place):
    first, second, third = volume(0), volume(1, (5, 21, 30)), volume(2)
    for number, (image, labels) in enumerate((first, second, (third[0], None))):
        (tmp_path / place.format(number)).parent.mkdir(exist_ok=True)
        nisb(tmp_path / place.format(number), image, labels)
    wanted = {"seed0": first, "seed1": second, "seed2": (third[0], None)}
    found = check(tmp_path, wanted, voxel_size_nm=SIZE)
    (remark,) = found.remarks
    assert "img and seg are taken to be stored in x, y, z order, as in NISB, unless they name their axes" in remark
    assert "say axes: zyx in dataset.yaml" in remark
    turned = {name: tuple(a if a is None else a.transpose() for a in arrays) for name, arrays in wanted.items()}
    declare(tmp_path, axes="zyx", voxel_size_nm=SIZE)
    assert check(tmp_path, turned).remarks == []


def test_nisb_arrays_that_name_their_axes_are_not_turned(tmp_path):
    image, labels = volume(0)
    group = zarr.open_group(store=str(tmp_path / "data.zarr"), mode="w", zarr_format=3)
    for key, array in (("img", image), ("seg", labels)):
        group.create_array(key, shape=SHAPE, dtype=array.dtype, dimension_names=["z", "y", "x"])[...] = array
    check(tmp_path / "data.zarr", {"data": (image, labels)}, voxel_size_nm=SIZE)


def test_one_nisb_container(tmp_path):
    nisb(tmp_path / "data.zarr", *volume(0))
    assert check(tmp_path / "data.zarr", {"data": volume(0)}, voxel_size_nm=SIZE).remarks


def test_zarr_volumes_in_images_are_no_seeds(tmp_path):
    for name in ("a", "b"):
        for side, array in zip(("images", "labels"), volume(0), strict=True):
            stored = zarr.create_array(store=str(tmp_path / side / f"{name}.zarr"), shape=SHAPE, dtype=array.dtype)
            stored[...] = array
            stored.attrs["resolution"] = SIZE
    check(tmp_path, {"a": volume(0), "b": volume(0)})


def test_several_containers_with_both(tmp_path):
    """As the three files of CREMI."""
    first, second = volume(0), volume(1)
    for name, (image, labels) in {"sample_A": first, "sample_B": second}.items():
        hdf5(tmp_path / f"{name}.hdf", volumes__raw=image, volumes__labels__neuron_ids=labels)
    assert check(tmp_path, {"sample_A": first, "sample_B": second}).remarks == []
    hdf5(tmp_path / "sample_A.h5", volumes__raw=first[0], volumes__labels__neuron_ids=first[1])
    with pytest.raises(DataError, match=r"sample_A.h5 and sample_A.hdf have the same name"):
        find_dataset(tmp_path)


def test_one_container(tmp_path):
    image, labels = volume(0)
    path = hdf5(tmp_path / "all.h5", raw=image, labels=labels)
    check(path, {"all": (image, labels)})


def test_volumes_by_hand(tmp_path):
    first, second, third = volume(0), volume(1), volume(2)
    hdf5(tmp_path / "raw" / "one.h5", raw=first[0], weights=first[0])
    hdf5(tmp_path / "truth" / "someone.h5", main=first[1])
    hdf5(tmp_path / "both.h5", em=second[0], cells=second[1])
    hdf5(tmp_path / "more.h5", main=third[0])
    volumes = [
        {"name": "a", "image": "raw/one.h5", "labels": "truth/someone.h5"},
        {"name": "b", "image": f"{tmp_path}/both.h5:em", "labels": "both.h5:cells"},
        {"name": "c", "image": "more.h5"},
    ]
    declare(tmp_path, volumes=volumes)
    check(tmp_path, {"a": first, "b": second, "c": (third[0], None)})
    declare(tmp_path, volumes=[{"name": "a", "image": "raw/two.h5", "labels": "both.h5:cells"}])
    with pytest.raises(DataError, match=r"raw/two.h5: is not there"):
        find_dataset(tmp_path)
    declare(tmp_path, volumes=[volumes[0], volumes[0]])
    with pytest.raises(PlanError, match=r"volumes: several volumes are called a\. Give each a name of its own"):
        find_dataset(tmp_path)
    declare(tmp_path, volumes=[{"name": "a", "imag": "raw/one.h5"}])
    with pytest.raises(PlanError, match=r"volumes.0.imag: unknown field. Did you mean image\?"):
        find_dataset(tmp_path)


def cremi(path, image, labels, start, size=SIZE, corner=(0.0, 0.0, 0.0)):
    """A padded image with labels for a box of it."""
    hdf5(path, size=size, offset=corner, volumes__raw=image)
    offset = [c + a * s for c, a, s in zip(corner, start, size, strict=True)]
    return hdf5(path, size=size, offset=offset, volumes__labels__neuron_ids=labels)


@pytest.mark.parametrize("corner", [None, (0.0, 0.0, 0.0), (-80.0, 1000.0, 6.0)])
def test_labels_for_a_box_of_a_padded_image(tmp_path, corner):
    image, labels = volume(0)[0], volume(1, (3, 9, 11))[1]
    path = cremi(tmp_path / "a.h5", image, labels, (2, 5, 16), corner=corner or (0.0, 0.0, 0.0))
    if corner is None:
        with h5py.File(path, "a") as file:
            del file["volumes/raw"].attrs["offset"]
    found = check(path, {"a": (image, labels)})
    assert found.dataset.volumes[0].labels_start == (2, 5, 16)
    (opened,) = open_volumes(found.dataset, small_plan(voxel_size_nm=SIZE), memory_bytes=0)
    assert opened.labelled == Box((2, 5, 16), (5, 14, 27))


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ((2, 5.5, 16), r"the labels' offset is 80 x 27.5 x 64 nm .*is 0 x 0 x 0 nm \(z, y, x\): 2, 5.5, 16 voxels apart"),
        (
            (4, 5, 16),
            r"reach out of the image: their shape is \(3, 9, 11\) and their offset 160 x 25 x 64 nm .* has \(6, 20, 28\)",
        ),
        ((-1, 5, 16), r"offset -40 x 25 x 64 nm .* and 0 x 0 x 0 nm \(z, y, x\). Mend one of the offsets"),
    ],
)
def test_offsets_that_do_not_fit(tmp_path, start, message):
    path = cremi(tmp_path / "a.h5", volume(0)[0], volume(1, (3, 9, 11))[1], start)
    with pytest.raises(DataError, match=message):
        find_dataset(path)


def test_offsets_within_5_percent_of_a_voxel_are_whole(tmp_path):
    image, labels = volume(0)[0], volume(1, (3, 9, 11))[1]
    path = cremi(tmp_path / "a.h5", image, labels, (2.04, 4.96, 16))
    assert find_dataset(path).dataset.volumes[0].labels_start == (2, 5, 16)


def test_labels_of_another_shape_without_an_offset(tmp_path):
    hdf5(tmp_path / "images" / "a.h5", main=volume(0)[0])
    hdf5(tmp_path / "labels" / "a.h5", main=volume(1, (3, 9, 11))[1])
    with pytest.raises(DataError, match=r"shape \(3, 9, 11\), but the image .* has \(6, 20, 28\) .*store where it begins as"):
        find_dataset(tmp_path)


def test_an_offset_of_one_side_alone_does_not_matter_where_the_shapes_are_equal(tmp_path):
    image, labels = volume(0)
    path = hdf5(tmp_path / "a.h5", offset=(80.0, 10.0, 8.0), raw=image)
    hdf5(path, labels=labels)
    assert find_dataset(path).dataset.volumes[0].labels_start == (0, 0, 0)


def test_a_fine_image_meets_its_coarse_labels(tmp_path):
    """Labels made at the pyramid's level of 40 x 10 x 12 nm, whose last row and column were dropped."""
    image = np.repeat(np.repeat(volume(0, (6, 10, 9))[0], 2, axis=1), 3, axis=2)
    fine = np.concatenate([np.concatenate([image, image[:, -1:]], axis=1), np.zeros((6, 21, 1), np.uint8)], axis=2)
    labels = volume(1, (6, 10, 9))[1]
    hdf5(tmp_path / "images" / "a.h5", main=fine)
    hdf5(tmp_path / "labels" / "a.h5", size=(40.0, 10.0, 12.0), main=labels)
    (entry,) = find_dataset(tmp_path).dataset.volumes
    assert (entry.image_scale, entry.labels_scale, entry.voxel_size_nm) == ((1, 2, 3), (1, 1, 1), (40.0, 10.0, 12.0))
    (got,) = open_volumes(find_dataset(tmp_path).dataset, small_plan(voxel_size_nm=(40.0, 10.0, 12.0)), memory_bytes=0)
    assert (got.shape, got.labelled) == ((6, 11, 10), Box.of_shape((6, 10, 9)))
    np.testing.assert_array_equal(got.read_image(got.labelled), image[:, ::2, ::3])
    np.testing.assert_array_equal(got.read_labels(got.labelled).labels_zyx, labels)


def pyramid(path, arrays, sizes):
    """An OME-Zarr image whose levels hold these arrays."""
    group = zarr.open_group(store=str(path), mode="w", zarr_format=3)
    for number, array in enumerate(arrays):
        group.create_array(str(number), shape=array.shape, dtype=array.dtype)[...] = array
    levels = [{"path": str(i), "coordinateTransformations": [{"type": "scale", "scale": size}]} for i, size in enumerate(sizes)]
    axes = [{"name": a, "type": "space", "unit": "nanometer"} for a in "zyx"]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"name": "em", "axes": axes, "datasets": levels}]}


def test_the_stored_level_of_the_labels_voxel_size_is_used(tmp_path):
    """Level 1 is not the mean of level 0, so that it can be told which one is read."""
    coarse, labels = volume(1, (6, 10, 9))
    pyramid(tmp_path / "images" / "a.zarr", [volume(0, (6, 20, 27))[0], coarse], [(40.0, 5.0, 4.0), (40.0, 10.0, 12.0)])
    hdf5(tmp_path / "labels" / "a.h5", size=(40.0, 10.0, 12.0), main=labels)
    found = check(tmp_path, {"a": (coarse, labels)}, size=(40.0, 10.0, 12.0))
    assert found.dataset.volumes[0].image_scale == (1, 1, 1)
    assert found.dataset.volumes[0].image.endswith("images/a.zarr:1")


@pytest.mark.parametrize("last", [False, True])
def test_one_of_several_channels(tmp_path, last):
    image, labels = volume(0)
    both = np.stack([volume(1)[0], image], axis=3 if last else 0)
    hdf5(tmp_path / "images" / "a.h5", main=both)
    hdf5(tmp_path / "labels" / "a.h5", main=labels)
    with pytest.raises(DataError, match=r"has 2 channels.* channel: 0 in dataset\.yaml"):
        find_dataset(tmp_path)
    declare(tmp_path, channel=1)
    assert check(tmp_path, {"a": (image, labels)}).dataset.volumes[0].channel == 1


def test_fine_labels_meet_their_coarse_image_axis_by_axis(tmp_path):
    """Labels finer in z, the image finer in x; the labels' box begins at 2, 3, 1 of the common grid."""
    image, labels = volume(0)[0], volume(1, (6, 9, 11))[1]
    hdf5(tmp_path / "images" / "a.h5", offset=(0.0, 0.0, 0.0), main=image)
    hdf5(tmp_path / "labels" / "a.h5", size=(20.0, 5.0, 8.1), offset=(80.0, 15.0, 8.1), main=labels)
    (entry,) = find_dataset(tmp_path).dataset.volumes
    assert (entry.image_scale, entry.labels_scale, entry.labels_start) == ((1, 1, 2), (2, 1, 1), (2, 3, 1))
    assert entry.voxel_size_nm == (40.0, 5.0, 8.1)
    (got,) = open_volumes(find_dataset(tmp_path).dataset, small_plan(voxel_size_nm=entry.voxel_size_nm), memory_bytes=0)
    assert (got.shape, got.labelled) == ((6, 20, 14), Box((2, 3, 1), (5, 12, 12)))
    np.testing.assert_array_equal(got.read_labels(got.labelled).labels_zyx, labels[::2])


def test_offsets_of_the_first_voxels_center(tmp_path):
    """As OME-Zarr's translations: the center of a coarse voxel lies half a fine one beyond the first center."""
    hdf5(tmp_path / "images" / "a.h5", offset=(0.0, 0.0, 0.0), main=volume(0)[0])
    hdf5(tmp_path / "labels" / "a.h5", size=(40.0, 10.0, 4.0), offset=(40.0, 22.5, 8.0), main=volume(1, (3, 5, 11))[1])
    assert find_dataset(tmp_path).dataset.volumes[0].labels_start == (1, 2, 2)


def test_voxel_sizes_that_are_no_multiples(tmp_path):
    hdf5(tmp_path / "images" / "a.h5", main=volume(0)[0])
    hdf5(tmp_path / "labels" / "a.h5", size=(40.0, 7.5, 4.0), main=volume(0)[1])
    message = r"the labels' voxel size is 40 x 7.5 x 4 nm \(z, y, x\), but the image .* has 40 x 5 x 4 nm .*Only whole factors"
    with pytest.raises(DataError, match=message):
        find_dataset(tmp_path)


def sections(folder, stack, suffix=".png"):
    for number, section in enumerate(stack):
        if suffix == ".png":
            png(folder / f"{number}.png", section)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / f"{number}{suffix}", section)


def smooth(seed, shape=(12, 40, 56), *, related=True):
    """Sections that look alike, or do not, with labels."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), (2.0 if related else 0.0, 3.0, 3.0))
    image = np.clip(120 + 60 * noise / noise.std(), 0, 255).astype(np.uint8)
    return image, (noise > 0).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_loose_sections_that_look_alike_are_one_stack(tmp_path, suffix):
    image, labels = smooth(0)
    sections(tmp_path / "images", image, suffix)
    sections(tmp_path / "labels", labels, suffix)
    (remark,) = check(tmp_path, {"stack": (image, labels)}, voxel_size_nm=SIZE).remarks
    assert "images: its 12 images are taken as one stack, because neighbours look alike (correlation 0." in remark
    assert "If they are unrelated, say stack: false in dataset.yaml" in remark


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_loose_images_that_do_not_look_alike_are_volumes_of_one_section(tmp_path, suffix):
    image, labels = smooth(0, related=False)
    sections(tmp_path / "images", image, suffix)
    sections(tmp_path / "labels", labels[:9], ".png")
    wanted = {str(i): (image[i][None], labels[i][None] if i < 9 else None) for i in range(12)}
    (remark,) = check(tmp_path, wanted, voxel_size_nm=SIZE).remarks
    assert "images: its 12 images are taken as unrelated, each as a volume of one section, because neighbours do not" in remark
    assert "If they are one stack, say stack: true in dataset.yaml" in remark


def test_a_folder_of_unrelated_images_is_taken_apart(tmp_path):
    image, labels = smooth(0, related=False)
    stack = smooth(1)
    for name, (grays, truth) in {"flat": (image, labels), "whole": stack}.items():
        sections(tmp_path / "images" / name, grays)
        sections(tmp_path / "labels" / name, truth)
    wanted = {f"flat/{i}": (image[i][None], labels[i][None]) for i in range(12)} | {"whole": stack}
    found = find_dataset(tmp_path, voxel_size_nm=SIZE)
    assert sorted(v.name for v in found.dataset.volumes) == sorted(wanted)
    opened = {v.name: v for v in open_volumes(found.dataset, small_plan(voxel_size_nm=SIZE), memory_bytes=0)}
    for name, (grays, truth) in wanted.items():
        np.testing.assert_array_equal(opened[name].image.read(opened[name].box), grays)
        np.testing.assert_array_equal(opened[name].labels.read(opened[name].box), truth)
    assert len(found.remarks) == 1


def test_images_of_different_sizes_are_unrelated(tmp_path):
    for number in range(3):
        image, labels = volume(number, (20 + number, 28))
        png(tmp_path / "images" / f"{number}.png", image)
        png(tmp_path / "labels" / f"{number}.png", labels)
    found = find_dataset(tmp_path, voxel_size_nm=SIZE)
    assert [v.name for v in found.dataset.volumes] == ["0", "1", "2"]
    assert "because no two neighbours have the same size" in found.remarks[0]


def test_whether_it_is_a_stack_is_decided_by_hand(tmp_path):
    image, labels = smooth(0, related=False)
    sections(tmp_path / "images", image)
    sections(tmp_path / "labels", labels)
    declare(tmp_path, stack=True)
    assert check(tmp_path, {"stack": (image, labels)}, voxel_size_nm=SIZE).remarks == []
    sections(tmp_path / "related" / "images", smooth(1)[0])
    sections(tmp_path / "related" / "labels", smooth(1)[1])
    declare(tmp_path / "related", stack=False)
    found = find_dataset(tmp_path / "related", voxel_size_nm=SIZE)
    assert (len(found.dataset.volumes), found.remarks) == (12, [])

"""From layouts that are not one image with labels all over, to a model."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tifffile
from tests_pipeline import SIZE

import pytc_auto
from pytc_auto.errors import DataError
from pytc_auto.io.open import open_volume
from pytc_auto.phantom import make_phantom
from pytc_auto.schema.dataset import Dataset


def test_unrelated_images_make_a_2d_plan_and_a_model(tmp_path):
    data = tmp_path / "flat"
    for side in ("images", "labels"):
        (data / side).mkdir(parents=True)
    for number in range(4):
        tissue = make_phantom((3, 48 + 4 * number, 72), SIZE, seed=number)
        tifffile.imwrite(data / "images" / f"{number}.tif", tissue.image_zyx[1])
        tifffile.imwrite(data / "labels" / f"{number}.tif", tissue.neurons_zyx[1].astype(np.uint16))
    made = pytc_auto.plan(data, runs=tmp_path / "runs", voxel_size_nm=SIZE)
    assert any("its 4 images are taken as unrelated" in remark for remark in made.remarks)
    assert made.plan.patch[0] == 1
    assert {kernel[0] for kernel in made.plan.network.kernels} == {stride[0] for stride in made.plan.network.strides} == {1}
    assert all(offset[0] == 0 for head in made.plan.heads for offset in head.offsets)
    assert made.plan.folds.kind == "volumes"
    trained = pytc_auto.train("flat", runs=tmp_path / "runs")
    assert trained.scores[0]["voi"] >= 0
    (out,) = pytc_auto.predict([data / "images" / "0.tif"], model=made.run.model, out=tmp_path / "seg", voxel_size_nm=SIZE)
    assert out.is_dir()


def test_a_padded_image_is_learned_from_where_it_is_labelled(tmp_path):
    tissue = make_phantom((34, 48, 76), SIZE, seed=1)
    start, stop = (3, 5, 12), (31, 43, 68)
    labels = tissue.neurons_zyx[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    with h5py.File(tmp_path / "padded.h5", "w") as file:
        file.create_dataset("volumes/raw", data=tissue.image_zyx).attrs.update({"resolution": SIZE, "offset": (0.0, 0.0, 0.0)})
        offset = [a * s for a, s in zip(start, SIZE, strict=True)]
        stored = file.create_dataset("volumes/labels/neuron_ids", data=labels)
        stored.attrs.update({"resolution": SIZE, "offset": offset})
    made = pytc_auto.plan(tmp_path / "padded.h5", runs=tmp_path / "runs")
    assert Dataset.load(made.run.dataset_file).volumes[0].labels_start == start
    assert made.fingerprint.labels.unlabeled_fraction == 0
    trained = pytc_auto.train("padded", runs=tmp_path / "runs")
    assert trained.scores[0]["voi"] >= 0


def test_compressed_files_are_copied_once_into_the_run(tmp_path):
    data, runs = tmp_path / "packed", tmp_path / "runs"
    tissue = make_phantom((24, 48, 76), SIZE, seed=1)
    for side, array in (("images", tissue.image_zyx), ("labels", tissue.neurons_zyx)):
        (data / side).mkdir(parents=True)
        np.savez_compressed(data / side / "a.npz", array)
    told = []
    made = pytc_auto.plan(data, runs=runs, voxel_size_nm=SIZE, progress=lambda *step: told.append(step))
    assert {"a, copy of the image", "a, copy of the labels"} < {what for what, _, _ in told}
    copies = {p.name: p.stat().st_mtime_ns for p in (runs / "packed" / "cache").iterdir()}
    assert len(copies) == 4
    assert made.fingerprint.volumes[0].chunks is None, "what the file is, not its copy"
    assert Dataset.load(made.run.dataset_file).volumes[0].image.startswith(str(data / "images" / "a.npz"))
    pytc_auto.train("packed", runs=runs)
    assert {p.name: p.stat().st_mtime_ns for p in (runs / "packed" / "cache").iterdir()} == copies
    model, image = made.run.model, data / "images" / "a.npz"
    told.clear()
    (out,) = pytc_auto.predict(
        [image], model=model, out=tmp_path / "seg", voxel_size_nm=SIZE, progress=lambda *step: told.append(step)
    )
    assert "Copying a.npz:arr_0" in {what for what, _, _ in told}
    assert not (out / ".pytc" / "cache").exists()
    np.save(tmp_path / "a.npy", tissue.image_zyx)
    (plain,) = pytc_auto.predict([tmp_path / "a.npy"], model=model, out=tmp_path / "plain", voxel_size_nm=SIZE)
    first, second = (open_volume(f"{p}/labels/segmentation") for p in (out, plain))
    np.testing.assert_array_equal(first.read(first.box), second.read(second.box))


def test_of_damaged_files_no_copy_is_left(tmp_path):
    data, runs = tmp_path / "cut", tmp_path / "runs"
    tissue = make_phantom((24, 48, 76), SIZE, seed=1)
    for side, array in (("images", tissue.image_zyx), ("labels", tissue.neurons_zyx)):
        (data / side).mkdir(parents=True)
        sitk.WriteImage(sitk.GetImageFromArray(array), str(data / side / "a.nrrd"), useCompression=True)
    whole = (data / "labels" / "a.nrrd").read_bytes()
    (data / "labels" / "a.nrrd").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(DataError, match=r"labels/a\.nrrd: is truncated or damaged"):
        pytc_auto.plan(data, runs=runs, voxel_size_nm=SIZE)
    assert not list(runs.iterdir())

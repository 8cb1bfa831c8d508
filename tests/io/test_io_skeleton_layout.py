"""Where skeletons may lie, and what is said of those that fit nowhere."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import zarr
from tests_skeletons import write_graph, write_swc

from pytc_auto.errors import DataError, PlanError
from pytc_auto.io.dataset import find_dataset
from pytc_auto.io.skeletons import open_skeletons

SHAPE = (6, 20, 28)
SIZE = (40.0, 5.0, 4.0)
LINES = {
    3: (np.array([(1, 2, 3), (2, 4, 9), (5, 19, 27)]), np.array([-1, 0, 1])),
    8: (np.array([(0, 0, 1), (3, 1, 1)]), np.array([1, -1])),
}


def hdf5(path, **arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            file.create_dataset(key, data=array).attrs["resolution"] = SIZE
    return path


def folders(root, *names):
    for name in names:
        hdf5(root / "images" / f"{name}.h5", main=np.zeros(SHAPE, np.uint8))
        hdf5(root / "labels" / f"{name}.h5", main=np.ones(SHAPE, np.uint16))
    return root


def nisb(path):
    group = zarr.open_group(store=str(path), mode="w", zarr_format=2)
    for key, dtype in (("img", np.uint8), ("seg", np.uint16)):
        group.create_array(key, shape=SHAPE[::-1], chunks=(8, 8, 8), dtype=dtype)[...] = 1


def declare(root, **fields):
    (root / "dataset.yaml").write_text(json.dumps(fields))


def check(root, wanted, **options):
    """Volumes by name have these skeletons' files, and each file is where its nodes are."""
    entries = find_dataset(root, **options).dataset.volumes
    assert {e.name: e.skeletons for e in entries} == {name: path and str(path) for name, path in wanted.items()}
    for entry in entries:
        if entry.skeletons:
            found = open_skeletons(entry).nodes_zyx.tolist()
            assert sorted(found) == sorted(np.concatenate([nodes for nodes, _ in LINES.values()]).tolist())


def fault(root, **options):
    with pytest.raises(DataError) as caught:
        find_dataset(root, **options)
    return str(caught.value)


def test_a_folder_of_skeletons_beside_images_and_labels(tmp_path):
    folders(tmp_path, "a", "b", "c.2")
    write_swc(tmp_path / "skeletons/a", LINES, SIZE)
    write_graph(tmp_path / "skeletons/c.2.pkl", LINES, SIZE)
    (tmp_path / "skeletons/notes.txt").write_text("traced by hand")
    (tmp_path / "skeletons/.hidden.swc").write_text("")
    check(tmp_path, {"a": tmp_path / "skeletons/a", "b": None, "c.2": tmp_path / "skeletons/c.2.pkl"})


@pytest.mark.parametrize(("units", "size"), [("voxel", (1, 1, 1)), ("um", (0.04, 0.005, 0.004))])
def test_units_are_declared(tmp_path, units, size):
    write_swc(folders(tmp_path, "a") / "skeletons/a", LINES, size)
    declare(tmp_path, skeleton_units=units)
    check(tmp_path, {"a": tmp_path / "skeletons/a"})
    declare(tmp_path, skeleton_units="mm")
    with pytest.raises(PlanError, match="skeleton_units"):
        find_dataset(tmp_path)


def test_nisb_has_a_graph_beside_each_container(tmp_path):
    for seed in (0, 1, 2):
        nisb(tmp_path / f"seed{seed}/data.zarr")
        if seed:
            write_graph(tmp_path / f"seed{seed}/skeleton.pkl", LINES, SIZE)
    wanted = {f"seed{seed}": tmp_path / f"seed{seed}/skeleton.pkl" if seed else None for seed in (0, 1, 2)}
    check(tmp_path, wanted, voxel_size_nm=SIZE)
    for root in (tmp_path / "seed1", tmp_path / "seed1/data.zarr"):
        check(root, {"data": tmp_path / "seed1/skeleton.pkl"}, voxel_size_nm=SIZE)


def test_containers_and_nnunet_have_a_folder_of_skeletons_too(tmp_path):
    for name in ("A", "B"):
        hdf5(tmp_path / f"cremi/{name}.hdf", raw=np.zeros(SHAPE, np.uint8), labels=np.ones(SHAPE, np.uint16))
        write_swc(tmp_path / "cremi/skeletons" / name, LINES, SIZE)
    swc = {name: tmp_path / "cremi/skeletons" / name for name in ("A", "B")}
    check(tmp_path / "cremi", swc)
    check(tmp_path / "cremi/A.hdf", {"A": swc["A"]})
    folders(tmp_path / "nn", "em")
    (tmp_path / "nn/images").rename(tmp_path / "nn/imagesTr")
    (tmp_path / "nn/labels").rename(tmp_path / "nn/labelsTr")
    check(tmp_path / "nn", {"em": write_swc(tmp_path / "nn/skeletons/em", LINES, SIZE)})


def test_by_hand(tmp_path):
    folders(tmp_path, "a", "b")
    paths = [{"name": n, "image": f"images/{n}.h5", "labels": f"labels/{n}.h5"} for n in ("a", "b")]
    write_swc(tmp_path / "traced", LINES, SIZE)
    declare(tmp_path, volumes=[{**paths[0], "skeletons": "traced"}, paths[1]])
    check(tmp_path, {"a": tmp_path / "traced", "b": None})
    declare(tmp_path, volumes=[{**paths[0], "skeletons": "nowhere"}, {**paths[1], "skeletons": "no.swc"}])
    assert fault(tmp_path).splitlines() == [
        f"{tmp_path / path}: is not there. Mend skeletons of {name} in dataset.yaml."
        for name, path in (("a", "nowhere"), ("b", "no.swc"))
    ]


def test_skeletons_that_fit_no_image(tmp_path):
    folders(tmp_path, "sample_1", "sample_2")
    write_swc(tmp_path / "skeletons/sample-1", LINES, SIZE)
    write_swc(tmp_path / "skeletons", {n: LINES[n] for n in (3,)}, SIZE)
    write_swc(tmp_path / "skeletons/zebra", LINES, SIZE)
    write_swc(tmp_path / "skeletons/sample_2", LINES, SIZE)
    write_graph(tmp_path / "skeletons/sample_2.pkl", LINES, SIZE)
    (tmp_path / "skeletons/sample_1.nml").write_text("<things/>")
    where = tmp_path / "skeletons"
    assert fault(tmp_path).splitlines() == [
        f"{where}/3.swc: has no image. If it is one neuron of a volume, put all of that volume's into one folder, such as "
        "skeletons/sample_1/.",
        f"{where}/sample-1: has no image. Did you mean sample_1? Names must be equal.",
        f"{where}/zebra: has no image. Images are called sample_1, sample_2.",
        f"{where}: sample_2 and sample_2.pkl have the same name. Keep one.",
        f"{where}/sample_1.nml: is no file of skeletons. Known are .swc, .pkl and folders of .swc files.",
    ]


def test_an_empty_folder_and_several_files_for_a_volume(tmp_path):
    (folders(tmp_path, "a") / "skeletons").mkdir()
    assert "skeletons: holds no skeletons. Put .swc, .pkl and folders of .swc files here" in fault(tmp_path)
    nisb(tmp_path / "n/seed0/data.zarr")
    write_graph(tmp_path / "n/seed0/skeleton.pkl", LINES, SIZE)
    write_swc(tmp_path / "n/skeletons/seed0", LINES, SIZE)
    assert "are skeletons of one volume. Keep one" in fault(tmp_path / "n", voxel_size_nm=SIZE)
    for name in ("a", "b"):
        nisb(tmp_path / f"m/{name}.zarr")
    write_graph(tmp_path / "m/skeleton.pkl", LINES, SIZE)
    said = fault(tmp_path / "m", voxel_size_nm=SIZE)
    assert (
        said == f"{tmp_path}/m/skeleton.pkl: lies beside several volumes. Put it into {tmp_path}/m/skeletons, under one's name."
    )

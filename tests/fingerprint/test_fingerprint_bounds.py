"""Large volumes: what is sampled, counted on a coarser level, or read whole."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import zarr

from pytc_auto.fingerprint import sampling
from pytc_auto.fingerprint.measure import measure
from pytc_auto.fingerprint.remarks import remarks
from pytc_auto.io.dataset import find_dataset
from pytc_auto.io.ome_zarr import create_labels
from pytc_auto.io.pyramid import add_pyramid
from pytc_auto.schema.dataset import Dataset, VolumeEntry

DATA = Path(__file__).parents[2].parent / "shared" / "data"
SIZE = (12.0, 10.0, 8.0)


@pytest.fixture(scope="module")
def pyramid(tmp_path_factory, block):
    """Tissue as zarr, its labels as OME-Zarr with coarser levels; their coarsest has a quarter of the voxels or fewer."""
    folder = tmp_path_factory.mktemp("pyramid")
    labels = np.tile(block.neurons_zyx, (1, 2, 2)).astype(np.uint32)
    image = np.tile(block.image_zyx, (1, 2, 2))
    assert max(labels.shape) > 256, "else the pyramid has one level"
    stored = create_labels(
        folder / "a.zarr", "cells", shape=labels.shape, chunks=(16, 32, 32), dtype="u4", voxel_size_nm=SIZE, attributes={}
    )
    stored[:] = labels
    add_pyramid(folder / "a.zarr" / "labels" / "cells", kind="labels")
    zarr.create_array(str(folder / "image.zarr"), shape=image.shape, chunks=(16, 32, 32), dtype="u1")[:] = image
    entry = VolumeEntry(
        name="a",
        image=str(folder / "image.zarr"),
        labels=str(folder / "a.zarr" / "labels" / "cells"),
        voxel_size_nm=SIZE,
        axes="zyx",
        unlabeled_sections=[],
    )
    return Dataset(root=str(folder), task=None, unlabeled=[], class_names={}, volumes=[entry])


@pytest.fixture(scope="module")
def whole(pyramid):
    """What is measured without bounds."""
    return measure(pyramid).fingerprint


def _bound(monkeypatch, voxels, census):
    monkeypatch.setattr(sampling, "WHOLE_IMAGE_VOXELS", 1)
    monkeypatch.setattr(sampling, "WHOLE_LABEL_VOXELS", 1)
    for name in ("IMAGE_VOXELS", "LABEL_VOXELS", "SECTION_VOXELS"):
        monkeypatch.setattr(sampling, name, voxels)
    monkeypatch.setattr(sampling, "CENSUS_VOXELS", census)


def test_ids_and_components_are_counted_on_a_coarser_level(pyramid, whole, monkeypatch):
    assert whole.labels.counted_from == "voxels"
    voxels = math.prod(whole.volumes[0].shape)
    _bound(monkeypatch, voxels // 4, voxels // 4)
    measured = measure(pyramid)
    labels = measured.fingerprint.labels
    assert labels.counted_from == "coarser level"
    assert labels.counted_at_nm == pytest.approx((24.0, 20.0, 16.0))
    assert (labels.ids, labels.id_range) == (whole.labels.ids, whole.labels.id_range)
    assert labels.foreground_fraction == pytest.approx(whole.labels.foreground_fraction, rel=0.02)
    assert labels.instances.extent_nm["p50"] == pytest.approx(whole.labels.instances.extent_nm["p50"], rel=0.05)
    assert labels.components == pytest.approx(whole.labels.components, rel=0.25)
    assert labels.sampled_fraction == pytest.approx(0.25, abs=0.08)
    assert remarks(measured)[-1].startswith("The volumes are large: ")


def test_without_a_small_level_what_was_met_is_counted(pyramid, whole, monkeypatch):
    voxels = math.prod(whole.volumes[0].shape)
    _bound(monkeypatch, voxels // 4, 10)
    labels = measure(pyramid).fingerprint.labels
    assert labels.counted_from == "sample"
    assert labels.components is None
    assert labels.ids <= whole.labels.ids


def test_everything_is_read_if_that_is_wanted(pyramid, whole, monkeypatch):
    _bound(monkeypatch, math.prod(whole.volumes[0].shape) // 4, 10)
    full = measure(pyramid, full=True).fingerprint
    assert full.sampled_fraction == full.intensity.sampled_fraction == full.labels.sampled_fraction == 1
    assert full.intensity.histogram == whole.intensity.histogram
    assert full.labels.counted_from == "voxels"
    for name in ("ids", "components", "foreground_fraction", "id_range"):
        assert getattr(full.labels, name) == getattr(whole.labels, name)


def test_the_same_seed_gives_the_same_bytes(pyramid, monkeypatch):
    _bound(monkeypatch, 400_000, 10)
    first, again, other = (measure(pyramid, seed=s).fingerprint for s in (1, 1, 2))
    assert first.text(".json") == again.text(".json")
    assert first.intensity.mean != other.intensity.mean


EXACT = ("kind", "ids", "id_range", "components", "counted_from")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", ["fib25", "vnc_mito", "vnc_organelles", "isbi2012", "gala"])
def test_a_quarter_is_near_the_whole(name, seed, monkeypatch):
    if not DATA.is_dir():
        pytest.skip("the shared data are not here")
    size = (10.0, 10.0, 10.0) if name == "gala" else None
    dataset = find_dataset(DATA / name / "train", voxel_size_nm=size).dataset
    whole = measure(dataset).fingerprint
    voxels = math.prod(whole.volumes[0].shape)
    monkeypatch.setattr(sampling, "WHOLE_IMAGE_VOXELS", 1)
    monkeypatch.setattr(sampling, "IMAGE_VOXELS", voxels // 4)
    part = measure(dataset, seed=seed).fingerprint
    assert part.intensity.sampled_fraction == pytest.approx(0.25, abs=0.05)
    for field in ("mean", "std", "noise_std"):
        assert getattr(part.intensity, field) == pytest.approx(getattr(whole.intensity, field), rel=0.05)
    assert part.intensity.percentiles["p50"] == pytest.approx(whole.intensity.percentiles["p50"], rel=0.05)
    assert part.intensity.inverted == whole.intensity.inverted
    monkeypatch.setattr(sampling, "WHOLE_LABEL_VOXELS", 1)
    monkeypatch.setattr(sampling, "LABEL_VOXELS", voxels // 4)
    labels = measure(dataset, seed=seed).fingerprint.labels
    assert labels.sampled_fraction == pytest.approx(0.25, abs=0.07)
    for field in EXACT:
        assert getattr(labels, field) == getattr(whole.labels, field)
    for field in ("foreground_fraction", "unlabeled_fraction"):
        assert getattr(labels, field) == pytest.approx(getattr(whole.labels, field), rel=0.05)
    for field in ("volume_nm3", "extent_nm", "elongation", "border_fraction", "diameter_nm", "touching_fraction"):
        assert getattr(labels.instances, field) == pytest.approx(getattr(whole.labels.instances, field), rel=0.05, abs=0.02)

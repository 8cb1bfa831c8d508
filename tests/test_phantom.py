"""Synthetic tissue: its truth is consistent, its image shows what the truth says."""

import cc3d
import edt
import numpy as np
import pytest

from pytc_auto.errors import DataError
from pytc_auto.phantom import CLASS_NAMES, Phantom, make_phantom
from pytc_auto.phantom.fields import Grid, gaussian_matrix, smooth_noise
from pytc_auto.phantom.neurites import SMALLEST_RADIUS_NM, grow_neurites
from pytc_auto.phantom.tissue import MARGIN_NM, make_tissue, sample_tissue

CASES = {
    "isotropic": ((44, 72, 88), (10.0, 10.0, 10.0)),
    "sections": ((14, 80, 96), (40.0, 8.0, 8.0)),
    "sections across x": ((90, 70, 12), (9.0, 10.0, 42.0)),
}


@pytest.fixture(scope="module", params=CASES)
def phantom(request) -> Phantom:
    shape, voxel_size_nm = CASES[request.param]
    return make_phantom(shape, voxel_size_nm, seed=5)


def neighbors(array):
    """Every pair of 6-neighbors, one axis after the other."""
    for axis in range(array.ndim):
        moved = np.moveaxis(array, axis, 0)
        yield moved[1:], moved[:-1]


def parts_of_each_id(labels):
    """For each id, its number of 6-connected components: one mask at a time."""
    return {int(i): int(cc3d.connected_components(labels == i, connectivity=6).max()) for i in np.unique(labels[labels > 0])}


def section_means(image, axis):
    return np.moveaxis(image, axis, 0).reshape(image.shape[axis], -1).mean(axis=1)


@pytest.mark.parametrize("case", CASES)
def test_shapes_dtypes_and_determinism(case):
    shape, voxel_size_nm = CASES[case]
    first, again, other = (make_phantom(shape, voxel_size_nm, seed=s) for s in (5, 5, 6))
    arrays = ("image_zyx", "neurons_zyx", "mitochondria_zyx", "classes_zyx")
    for name, dtype in zip(arrays, (np.uint8, np.uint32, np.uint32, np.uint8), strict=True):
        array = getattr(first, name)
        assert array.shape == shape
        assert array.dtype == dtype
        assert array.flags.c_contiguous
        assert array.tobytes() == getattr(again, name).tobytes()
        assert not np.array_equal(array, getattr(other, name))
    assert first.voxel_size_nm == voxel_size_nm


def test_neurites_fill_space(phantom):
    assert 0.78 <= np.mean(phantom.neurons_zyx > 0) <= 0.93
    assert phantom.neurons_zyx.max() >= 10
    largest_share = np.bincount(phantom.neurons_zyx.ravel())[1:].max() / phantom.neurons_zyx.size
    assert largest_share < 0.5
    hole_nm = edt.edt(phantom.neurons_zyx == 0, anisotropy=phantom.voxel_size_nm).max()
    assert hole_nm < 70


def test_every_id_is_one_component_and_ids_are_consecutive(phantom):
    for labels in (phantom.neurons_zyx, phantom.mitochondria_zyx):
        parts = parts_of_each_id(labels)
        assert sorted(parts) == list(range(1, int(labels.max()) + 1))
        assert set(parts.values()) == {1}


def test_different_neurons_never_touch(phantom):
    for ahead, behind in neighbors(phantom.neurons_zyx):
        assert np.all((ahead == behind) | (ahead == 0) | (behind == 0))


def test_each_mitochondrion_lies_in_one_neuron(phantom):
    assert phantom.mitochondria_zyx.max() >= 1
    for mitochondrion in range(1, int(phantom.mitochondria_zyx.max()) + 1):
        hosts = np.unique(phantom.neurons_zyx[phantom.mitochondria_zyx == mitochondrion])
        assert len(hosts) == 1
        assert hosts[0] > 0


def test_classes_agree_with_the_ids(phantom):
    assert set(CLASS_NAMES) == {0, 1, 2}
    assert np.array_equal(phantom.classes_zyx == 1, phantom.neurons_zyx == 0)
    assert np.array_equal(phantom.classes_zyx == 2, phantom.mitochondria_zyx > 0)
    assert np.mean(phantom.classes_zyx == 0) > 0.5


def test_membranes_are_darker_than_cytoplasm(phantom):
    """The whole membrane on average, and nearly every spot of it by itself."""
    cytoplasm = phantom.image_zyx[phantom.classes_zyx == 0]
    membrane = phantom.image_zyx[phantom.classes_zyx == 1]
    mitochondria = phantom.image_zyx[phantom.classes_zyx == 2]
    assert cytoplasm.mean() - membrane.mean() > 1.5 * cytoplasm.std()
    assert np.mean(membrane < np.median(cytoplasm)) > 0.95
    assert cytoplasm.mean() - mitochondria.mean() > 30


def test_the_gap_is_seen_where_two_ids_meet(phantom):
    """Truth and image are aligned: moved by two voxels in the plane, the membrane of the truth is no longer on the dark lines."""
    plane = [i for i, s in enumerate(phantom.voxel_size_nm) if s < 20]
    membrane = phantom.classes_zyx == 1
    here = phantom.image_zyx[membrane].mean()
    for axis in plane:
        for step in (-2, 2):
            assert phantom.image_zyx[np.roll(membrane, step, axis)].mean() > here + 8


def test_same_tissue_at_another_voxel_size():
    fine = make_phantom((48, 96, 112), (10.0, 10.0, 10.0), seed=2)
    coarse = make_phantom((24, 48, 56), (20.0, 20.0, 20.0), seed=2)
    serial = make_phantom((12, 120, 140), (40.0, 8.0, 8.0), seed=2)
    reference = caliber_nm(fine)
    for other in (coarse, serial):
        assert caliber_nm(other) == pytest.approx(reference, rel=0.15)
    together = (fine.neurons_zyx[::2, ::2, ::2] > 0) & (coarse.neurons_zyx > 0)
    pairs = np.stack([fine.neurons_zyx[::2, ::2, ::2][together], coarse.neurons_zyx[together]])
    assert agreement(pairs) > 0.95


def caliber_nm(phantom):
    """Inscribed diameter of the neurons, weighted by volume."""
    inner = edt.edt(phantom.neurons_zyx, anisotropy=phantom.voxel_size_nm)
    ids = phantom.neurons_zyx.ravel()
    largest = np.zeros(int(ids.max()) + 1)
    np.maximum.at(largest, ids, inner.ravel())
    return 2 * np.average(largest[1:], weights=np.bincount(ids)[1:])


def agreement(pairs):
    """Share of voxels whose first id meets, for most of its voxels, their second id."""
    table = np.zeros(pairs.max(axis=1) + 1)
    np.add.at(table, tuple(pairs), 1)
    return table.max(axis=1).sum() / table.sum()


def test_sections_differ_more_than_planes_of_a_block():
    block = make_phantom((40, 80, 80), (10.0, 10.0, 10.0), seed=1)
    serial = make_phantom((10, 100, 100), (40.0, 8.0, 8.0), seed=1)
    across_x = make_phantom((100, 90, 10), (8.0, 9.0, 40.0), seed=1)
    steps = [
        np.abs(np.diff(section_means(*args))).mean()
        for args in ((block.image_zyx[::4], 0), (serial.image_zyx, 0), (across_x.image_zyx, 2))
    ]
    assert min(steps[1:]) > 2 * steps[0]
    assert np.abs(np.diff(section_means(across_x.image_zyx[:, ::4], 1))).mean() < steps[2]


def test_sections_are_shifted_by_one_voxel_at_most(monkeypatch):
    args = ((10, 90, 100), (40.0, 8.0, 8.0))
    shifted = make_phantom(*args, seed=3).neurons_zyx > 0
    monkeypatch.setattr("pytc_auto.phantom.volume._shifted", lambda values, axis, _: unshifted(values, axis))
    straight = make_phantom(*args, seed=3).neurons_zyx > 0
    found = {best_shift(a, b) for a, b in zip(shifted, straight, strict=True)}
    assert len(found) > 2
    assert max(abs(s) for shift in found for s in shift) == 1


def unshifted(values, axis):
    rim = tuple(slice(None) if i == axis else slice(1, -1) for i in range(3))
    return values[rim].copy()


def best_shift(moved, fixed):
    shifts = [(a, b) for a in range(-2, 3) for b in range(-2, 3)]
    inner = np.s_[4:-4, 4:-4]
    return max(shifts, key=lambda s: float(np.mean(np.roll(moved, s, (0, 1))[inner] == fixed[inner])))


def test_wrong_shape_or_voxel_size_is_refused():
    with pytest.raises(DataError, match=r"positive shape and voxel size, got \(0, 8, 8\)"):
        make_phantom((0, 8, 8), (10.0, 10.0, 10.0), seed=0)
    with pytest.raises(DataError, match=r"-1\.0"):
        make_phantom((8, 8, 8), (10.0, -1.0, 10.0), seed=0)


def test_no_neurite_is_thin():
    """Before membranes are cut out, each id holds a ball of the smallest core."""
    tissue = make_tissue((300.0, 500.0, 700.0), np.random.default_rng(4))
    assert tissue.neurites_zyx.min() >= 1
    assert set(parts_of_each_id(tissue.neurites_zyx).values()) == {1}
    inner = edt.edt(tissue.neurites_zyx, anisotropy=tissue.grid.voxel_size_nm)
    thickest = [inner[tissue.neurites_zyx == i].max() for i in range(1, int(tissue.neurites_zyx.max()) + 1)]
    assert min(thickest) >= 40


def test_distance_to_the_interface_is_measured_below_the_grid_step():
    """Two half spaces: the distance is exact, wherever between coarse grid points the finer ones lie."""
    tissue = make_tissue((100.0, 100.0, 100.0), np.random.default_rng(0))
    halves = np.ones(tissue.grid.shape, np.uint32)
    halves[:, :, 12:] = 2
    interface_nm = tissue.grid.origin_nm[2] + (12 - 0.5) * tissue.grid.voxel_size_nm[2]
    grid = Grid((3, 4, 41), (20.0, 15.0, 2.0), (30.0, 30.0, interface_nm - 40.0))
    sampled = sample_tissue(type(tissue)(tissue.grid, halves, tissue.mitochondria_nm_zyx), grid)
    wanted = np.abs(np.arange(41) * 2.0 - 40.0)
    near = wanted <= 20
    assert np.abs(sampled.membrane_nm_zyx - wanted)[..., near].max() < 1.5
    assert np.all(sampled.neurites_zyx[..., :20] == 1)
    assert np.all(sampled.neurites_zyx[..., 21:] == 2)


def test_territory_is_the_nearest_surface():
    """Every claimed voxel against all balls at once; where none was in reach nobody owns it."""
    grid = Grid((14, 18, 22), (20.0, 20.0, 20.0), (-MARGIN_NM, 0.0, 50.0))
    territory, walks = grow_neurites(grid, np.random.default_rng(8))
    where = np.stack(np.meshgrid(*grid.positions_nm(), indexing="ij"), axis=-1)
    nearest, owner = np.full(grid.shape, np.inf), np.zeros(grid.shape, int)
    for walk in walks:
        for point, radius in zip(walk.points_nm, walk.radii_nm, strict=True):
            distance = np.linalg.norm(where - point, axis=-1) - radius
            owner = np.where(distance < nearest - 1e-3, walk.neurite, owner)
            nearest = np.minimum(nearest, distance)
    claimed = territory.owner_zyx > 0
    assert claimed.mean() > 0.99
    assert np.abs(territory.clearance_zyx - nearest)[claimed].max() < 1e-2
    assert np.mean(territory.owner_zyx[claimed] == owner[claimed]) > 0.99
    assert min(w.radii_nm.min() for w in walks) >= SMALLEST_RADIUS_NM


def test_noise_has_variance_one_and_is_the_same_at_another_voxel_size():
    fine = Grid((40, 60, 80), (10.0, 10.0, 10.0), (5.0, 5.0, 5.0))
    coarse = Grid((20, 30, 40), (20.0, 20.0, 20.0), (10.0, 10.0, 10.0))
    one, two = (smooth_noise(g, 60.0, np.random.default_rng(3)) for g in (fine, coarse))
    assert np.std(one) == pytest.approx(1.0, abs=0.15)
    pooled = one.reshape(20, 2, 30, 2, 40, 2).mean(axis=(1, 3, 5))
    assert np.corrcoef(pooled.ravel(), two.ravel())[0, 1] > 0.99


def test_gaussian_matrix_keeps_constants_and_centers():
    matrix = gaussian_matrix([10.0, 25.0], np.arange(0.0, 60.0, 10.0), 6.0)
    assert matrix.shape == (2, 6)
    assert matrix.sum(axis=1) == pytest.approx([1.0, 1.0])
    assert matrix[1] @ np.arange(0.0, 60.0, 10.0) == pytest.approx(25.0, abs=0.1)

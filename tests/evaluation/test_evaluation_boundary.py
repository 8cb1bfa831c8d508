from __future__ import annotations

import itertools

import numpy as np
import pytest

from pytc_auto.evaluation.boundary import Boundary, Tolerance, boundary_counts
from pytc_auto.evaluation.region import Voxels
from pytc_auto.geometry import Box

SIZE = (40.0, 8.0, 6.0)


def contour(mask, known):
    """Voxels of a class with a neighbor outside it, one at a time."""
    on = []
    for at in map(tuple, np.argwhere(mask & known)):
        for axis, step in itertools.product(range(3), (-1, 1)):
            there = list(at)
            there[axis] += step
            inside = 0 <= there[axis] < mask.shape[axis]
            if inside and known[tuple(there)] and not mask[tuple(there)]:
                on.append(at)
                break
    return np.array(on, float).reshape(-1, 3)


def by_loops(found, truth, known, nm, size):
    """F1 of each class from all distances between its boundary voxels."""
    scores = {}
    for value in np.union1d(found, truth).tolist():
        a, b = (contour(array == value, known) * size for array in (found, truth))
        if not len(a) or not len(b):
            if len(a) or len(b):
                scores[value] = 0.0
            continue
        near = np.linalg.norm(a[:, None] - b[None], axis=-1) <= nm + 1e-6
        precision, recall = near.any(1).mean(), near.any(0).mean()
        scores[value] = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return scores


@pytest.mark.parametrize("nm", [0, 6, 8, 10, 13, 40, 41, 60])
@pytest.mark.parametrize("ignored", [0, 0.2])
def test_agrees_with_loops_over_all_distances(nm, ignored):
    rng = np.random.default_rng(nm)
    truth = (rng.random((4, 6, 8)) < 0.5).astype(np.uint8) * 255
    truth[1:3, :, :5] = 7
    found = np.where(rng.random(truth.shape) < 0.2, 255 - truth, truth).astype(np.int32)
    ignore = rng.random(truth.shape) < ignored
    kept = found.copy(), truth.copy(), ignore.copy()
    counts = boundary_counts(Voxels(found, truth, ignore if ignored else None), Box.of_shape(truth.shape), Tolerance(nm, SIZE))
    assert {v: c.f1 for v, c in counts.items()} == pytest.approx(by_loops(found, truth, ~ignore, nm, SIZE))
    assert len(counts) == 4
    for before, after in zip(kept, (found, truth, ignore), strict=True):
        np.testing.assert_array_equal(before, after)


def plane(at, axis):
    labels = np.zeros((9, 10, 11), np.uint8)
    np.moveaxis(labels, axis, 0)[at:] = 1
    return labels


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_plane_that_is_two_voxels_off_by_hand(axis):
    """Each class's contour is one plane, and that of the truth lies two voxels further."""
    voxels = Voxels(plane(6, axis), plane(4, axis), None)
    for nm, f1 in ((2 * SIZE[axis], 1), (1.9 * SIZE[axis], 0)):
        counts = boundary_counts(voxels, Box.of_shape((9, 10, 11)), Tolerance(nm, SIZE))
        assert {v: c.f1 for v, c in counts.items()} == {0: f1, 1: f1}
        assert counts[1].found == counts[1].true == 990 // (9, 10, 11)[axis]


def test_half_a_boundary_missed_by_hand():
    """The truth has a plane at 2 and one at 7 (class 1 between them); the segmentation the first only."""
    truth = plane(2, 2) - plane(7, 2)
    counts = boundary_counts(Voxels(plane(2, 2), truth, None), Box.of_shape((9, 10, 11)), Tolerance(12, SIZE))
    assert counts[1] == Boundary(found=90, found_near=90, true=180, true_near=90)
    assert counts[1].f1 == pytest.approx(2 * 1 * 0.5 / 1.5)


def test_faces_and_ignored_voxels_make_no_boundary():
    ones, ignore = np.ones((3, 4, 5), np.uint8), np.zeros((3, 4, 5), bool)
    whole, tolerance = Box.of_shape((3, 4, 5)), Tolerance(10, SIZE)
    assert boundary_counts(Voxels(ones, ones, None), whole, tolerance) == {}
    wrong = ones.copy()
    wrong[1, 2, 3], ignore[1, 2, 3] = 9, True
    assert boundary_counts(Voxels(wrong, ones, ignore), whole, tolerance) == {}
    assert {v: c.f1 for v, c in boundary_counts(Voxels(wrong, ones, None), whole, tolerance).items()} == {1: 0, 9: 0}


def test_f1_without_a_boundary():
    assert (Boundary().f1, Boundary(found=3).f1, Boundary(true=2).f1, Boundary(3, 0, 2, 0).f1) == (1, 0, 0, 0)


@pytest.mark.parametrize(("nm", "halo"), [(0, (1, 1, 1)), (7.9, (1, 1, 2)), (8, (1, 2, 2)), (40, (2, 6, 7))])
def test_the_halo_holds_the_tolerance_and_a_neighbor(nm, halo):
    assert Tolerance(nm, SIZE).halo == halo

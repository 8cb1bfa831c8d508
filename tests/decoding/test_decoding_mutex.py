from __future__ import annotations

import mwatershed
import numpy as np
import pytest
from skimage.segmentation import watershed

from pytc_auto.decoding.mutex import LEAST_VOXELS, _grown, _weights, mutex_segments
from pytc_auto.decoding.watershed import interior
from pytc_auto.evaluation.scores import score
from pytc_auto.targets.affinities import affinities_from_labels

OFFSETS = [(-1, 0, 0), (0, -1, 0), (0, 0, -1), (-3, 0, 0), (0, -4, 0), (0, 0, -4)]


def segments(affinities, bias=0.5, voxel_size=(10.0, 10.0, 10.0)):
    inside = interior(affinities, [0, 1, 2])
    return mutex_segments(affinities, OFFSETS, bias, inside_zyx=inside, axes=[0, 1, 2], voxel_size_nm=voxel_size)


@pytest.mark.parametrize(
    ("shape", "voxel_size"),
    [((16, 20, 24), (10.0, 10.0, 10.0)), ((8, 24, 32), (40.0, 8.0, 8.0)), ((20, 12, 16), (12.0, 30.0, 9.0))],
)
def test_planted_boxes_come_back(shape, voxel_size):
    index = [i * 2 // n for i, n in zip(np.indices(shape), shape, strict=True)]
    labels = (1 + index[0] * 4 + index[1] * 2 + index[2]).astype(np.uint32)
    affinities = affinities_from_labels(labels, OFFSETS).astype(np.float32)
    kept = affinities.copy()
    found = segments(affinities, voxel_size=voxel_size)
    assert found.dtype == np.uint32
    assert len(np.unique(found)) == 8
    assert score(found, labels, kind="instances")["adapted_rand"] == 0
    np.testing.assert_array_equal(affinities, kept)


def test_long_edges_keep_apart_what_leaks():
    labels = np.ones((12, 12, 24), np.uint32)
    labels[:, :, 12:] = 2
    affinities = affinities_from_labels(labels, OFFSETS).astype(np.float32) * 0.8 + 0.1
    affinities[2, 4:8, 4:8, 12] = 0.85
    found = segments(affinities)
    assert found[6, 6, 3] != found[6, 6, 20]
    affinities[3:] = 0.9
    alone = segments(affinities)
    assert alone[6, 6, 3] == alone[6, 6, 20]


def test_long_edges_do_not_attract():
    labels = np.ones((12, 12, 24), np.uint32)
    labels[:, :, 12:] = 2
    affinities = affinities_from_labels(labels, OFFSETS).astype(np.float32)
    affinities[3:] = 1
    assert score(segments(affinities), labels, kind="instances")["adapted_rand"] == 0


def test_specks_are_grown_over_and_nothing_but_specks_is_nothing():
    affinities = affinities_from_labels(np.ones((8, 9, 10), np.uint32), OFFSETS).astype(np.float32)
    affinities[:, 4, 4, 4] = 0
    affinities[0, 5, 4, 4] = affinities[1, 4, 5, 4] = affinities[2, 4, 4, 5] = 0
    assert (segments(affinities) == 1).all()
    assert not segments(np.zeros((6, 5, 6, 7), np.float32)).any()


def test_without_steps_across_sections_specks_are_not_grown_over_from_another_section():
    flat = [(0, -1, 0), (0, 0, -1)]
    affinities = np.ones((2, 3, 8, 9), np.float32)
    affinities[:, 1] = 0
    inside = affinities.mean(0)
    found = mutex_segments(affinities, flat, 0.5, inside_zyx=inside, axes=[1, 2], voxel_size_nm=(40.0, 8.0, 8.0))
    assert [np.unique(section).tolist() for section in found] == [[1], [0], [2]]


@pytest.mark.parametrize("shape", [(2, 20, 26), (14, 3, 22), (9, 16, 4)])
def test_offsets_longer_than_the_volume_link_nothing(shape):
    labels = (1 + np.indices(shape)[2] * 2 // shape[2]).astype(np.uint32)
    affinities = np.stack([(np.roll(labels, [-i for i in o], (0, 1, 2)) == labels).astype(np.float32) for o in OFFSETS])
    affinities[2, :, :, shape[2] // 2] = 0
    found = segments(affinities)
    assert found.shape == shape
    assert score(found, labels, kind="instances")["adapted_rand"] == 0


def test_growing_beside_specks_is_growing_everywhere():
    """Flooding only what lies beside specks changes nothing."""
    rng = np.random.default_rng(4)
    segments = rng.integers(1, 60, (4, 5, 6)).repeat(3, 0).repeat(3, 1).repeat(3, 2).astype(np.uint64)
    specks = rng.random(segments.shape) < 0.3
    segments[specks] = 100 + np.arange(specks.sum())
    inside = rng.random(segments.shape).astype(np.float32)
    found = _grown(segments, inside, [0, 1, 2])
    keep = np.bincount(segments.ravel().astype(int)) >= LEAST_VOXELS
    expected = watershed(-inside, (segments * keep[segments]).astype(np.int32), connectivity=1)
    pairs = np.unique(np.stack([found.ravel(), expected.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(pairs[0])) == len(np.unique(pairs[1])) > 2


@pytest.mark.parametrize("shape", [(14, 15, 16), (9, 31, 20), (24, 10, 17)])
@pytest.mark.parametrize("stride", [(3, 3, 3), (1, 3, 3), (2, 1, 4)])
def test_edges_between_strides_do_not_count(shape, stride):
    """The weights that are left 0 change nothing, against all weights; none that counts is left out."""
    offsets = [*OFFSETS, (0, 5, 0), (2, 0, -7)]
    strides = [(1, 1, 1)] * 3 + [stride] * 5
    affinities = np.random.default_rng(1).random((8, *shape)).astype(np.float32)
    everywhere = np.concatenate([np.maximum(affinities[:3] - 0.5, 0), np.minimum(affinities[3:] - 0.5, 0)]).astype(np.float64)
    given = [list(offset) for offset in offsets], None, None, [list(s) for s in strides]
    expected = mwatershed.agglom(everywhere, *given)
    weights = _weights(affinities, offsets, strides, 0.5)
    assert (weights[3:] != 0).sum() < (everywhere[3:] != 0).sum()
    np.testing.assert_array_equal(mwatershed.agglom(weights, *given), expected)
    weights[3:] = 0
    assert (mwatershed.agglom(weights, *given) != expected).any()

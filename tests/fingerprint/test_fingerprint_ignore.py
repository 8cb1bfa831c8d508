from __future__ import annotations

import numpy as np
import pytest

from pytc_auto.fingerprint.blank_labels import look_at_sections
from pytc_auto.fingerprint.ignore import edge_value, ignore_candidates
from pytc_auto.io.volume import ArrayVolume

U8, U16, I32 = (np.dtype(d) for d in ("u1", "u2", "i4"))


def _values(kind, counts, dtype, edges=()):
    return [c.value for c in ignore_candidates(kind, counts, {dtype}, list(edges))]


@pytest.mark.parametrize(
    ("kind", "counts", "dtype", "found"),
    [
        ("mask", {0: 50, 255: 50}, U8, []),
        ("mask", {0: 50, 1: 50}, U8, []),
        ("classes", {0: 50, 1: 30, 255: 20}, U8, [255]),
        ("classes", {0: 50, 1: 30, 255: 20}, U16, [255]),
        ("classes", {0: 50, 254: 30, 255: 20}, U8, []),
        ("instances", {0: 50, **dict.fromkeys(range(1, 256), 2)}, U8, []),
        ("instances", {0: 50, **dict.fromkeys(range(1, 200), 2), 255: 90}, U8, [255]),
        ("instances", {0: 50, **dict.fromkeys(range(1, 300), 2), 65535: 90}, U16, [65535]),
        ("instances", {0: 50, -1: 5, **dict.fromkeys(range(1, 30), 2), 255: 90}, I32, [-1]),
    ],
)
def test_values_that_look_like_not_labelled(kind, counts, dtype, found):
    assert _values(kind, counts, dtype) == found


def test_shares_and_reasons():
    (one,) = ignore_candidates("classes", {0: 50, 1: 30, 9: 20}, {U8}, [None, 9, 9])
    assert (one.value, one.fraction, one.reason) == (9, 0.2, "it fills whole sections or the rim")


def _edge(labels, axis=0, known=()):
    volume = ArrayVolume(labels)
    return edge_value(volume, axis, look_at_sections(volume, [volume.box], axis, known), known)


def _blobs():
    rng = np.random.default_rng(0)
    return np.kron(rng.integers(0, 9, (6, 5, 7)), np.ones((2, 6, 5), int)).astype(np.uint16)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_value_of_whole_sections(axis):
    labels = _blobs()
    assert _edge(labels, axis) is None
    np.moveaxis(labels, axis, 0)[[0, 3]] = 77
    assert _edge(labels, axis) == 77
    assert _edge(labels, axis, known=[77]) is None


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_value_of_the_rim(axis):
    labels = _blobs()
    inner = labels.copy()
    labels[:] = 77
    box = tuple(slice(None) if i == axis else slice(2, -2) for i in range(3))
    labels[box] = inner[box]
    assert _edge(labels, axis) == 77
    assert _edge(labels, axis, known=[77]) is None
    assert _edge(np.full((4, 20, 30), 5, np.uint8)) is None
    labels[labels == 77] = 0
    assert _edge(labels, axis) is None

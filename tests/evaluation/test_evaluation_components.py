from __future__ import annotations

import cc3d
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytc_auto.errors import DataError
from pytc_auto.evaluation import compare as module
from pytc_auto.evaluation.compare import compare
from pytc_auto.evaluation.components import Components
from pytc_auto.evaluation.contingency import contingency
from pytc_auto.evaluation.region import common_region
from pytc_auto.evaluation.scores import score
from pytc_auto.geometry import Box, blocks
from pytc_auto.io.volume import ArrayVolume


def region(found, truth, **restricted):
    return common_region(ArrayVolume(found, source="found.h5"), ArrayVolume(truth, source="truth.h5"), **restricted)


def in_blocks(labels, block, start=(0, 0, 0)):
    """The numbers of all blocks, and what numbers them."""
    whole = Box.of_shape(labels.shape, start)
    made, numbers = Components(whole), np.zeros(labels.shape, np.uint64)
    for box in blocks(whole, block):
        inside = box.relative_to(start).slices
        numbers[inside] = made.number(box, labels[inside])
    return made, numbers


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 7), st.integers(1, 8), st.integers(2, 9)),
    block=st.tuples(st.integers(1, 4), st.integers(2, 5), st.integers(1, 9)),
    seed=st.integers(0, 2**32 - 1),
)
def test_blocks_give_the_components_of_the_whole(shape, block, seed):
    rng = np.random.default_rng(seed)
    labels, found = rng.integers(0, 3, shape), rng.integers(0, 4, shape)
    made, numbers = in_blocks(labels, block, (5, 3, 8))
    table = made.whole(contingency(found, numbers))
    wanted = contingency(found, cc3d.connected_components(labels.astype(np.uint32), connectivity=6))
    assert table.voxels == labels.size
    assert sorted(table.truths.counts.tolist()) == sorted(wanted.truths.counts.tolist())
    assert (table.truths.ids == 0).sum() == (labels == 0).any()
    rows = [sorted(zip(t.segment_ids.tolist(), t.counts.tolist(), strict=True)) for t in (table, wanted)]
    assert rows[0] == rows[1]


def test_a_tube_that_leaves_the_box_and_comes_back_is_two_objects(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", (2, 3, 4))
    truth = np.zeros((5, 9, 12), np.uint32)
    truth[2, 2, :], truth[2, 6, :], truth[2, 2:7, 0] = 8, 8, 8
    found = truth.copy()
    found[:, 6] *= 2
    restricted = {"box": Box((0, 0, 3), (5, 9, 12))}
    compared = compare(region(found, truth, **restricted), components=True)
    assert (compared.kind, compared.scores["voi"], compared.scores["ap"]) == ("instances", 0, 1)
    assert compare(region(found, truth, **restricted), kind="instances").scores["voi_split"] == 1
    assert compare(region(found, truth), components=True).scores["voi_split"] > 0


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint64, np.bool_])
def test_the_scores_are_those_of_labels_split_beforehand(monkeypatch, dtype):
    monkeypatch.setattr(module, "BLOCK", (3, 4, 5))
    rng = np.random.default_rng(3)
    truth, found = rng.integers(0, 3, (7, 8, 11)).astype(dtype), rng.integers(0, 9, (7, 8, 11)).astype(np.uint16)
    ignored = rng.random(truth.shape) < 0.2
    given = region(found, truth, ignore=ArrayVolume(ignored.astype(np.uint8), source="mask.h5"))
    split = cc3d.connected_components(truth.astype(np.uint32), connectivity=6)
    wanted = score(found, split, ignore_zyx=ignored, kind="instances")
    assert compare(given, components=True).scores == pytest.approx(wanted)


def test_components_are_of_instances_that_are_whole_numbers():
    ones = np.ones((2, 3, 4), np.uint8)
    with pytest.raises(DataError, match=r"truth\.h5: components are counted of instances, not of classes"):
        compare(region(ones, ones), components=True, kind="classes")
    with pytest.raises(DataError, match="must not be negative"):
        compare(region(ones, -ones.astype(np.int8)), components=True)
    with pytest.raises(DataError, match="must be whole numbers"):
        compare(region(ones, ones.astype(np.float32)), components=True)


@pytest.mark.parametrize("components", [False, True])
def test_labels_that_are_no_ids_are_named_by_their_file(components):
    ids = np.ones((3, 4, 5), np.uint8)
    with pytest.raises(DataError, match=r"^truth.h5: labels must be whole numbers, got float32"):
        compare(region(ids, ids.astype(np.float32)), components=components)
    with pytest.raises(DataError, match=r"^found.h5: labels must not be negative, got -1"):
        compare(region(-ids.astype(np.int16), ids), components=components)

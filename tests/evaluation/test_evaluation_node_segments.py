from __future__ import annotations

import numpy as np
import pytest

from pytc_auto.errors import DataError
from pytc_auto.evaluation import node_segments as module
from pytc_auto.evaluation.node_segments import node_segments
from pytc_auto.io.volume import ArrayVolume

SHAPE = (11, 13, 17)


class Watched(ArrayVolume):
    """Remembers the extents of what was read."""

    def _read(self, box):
        self.__dict__.setdefault("extents", []).append(box.shape)
        return super()._read(box)


@pytest.mark.parametrize("block", [(2, 3, 4), (11, 1, 5), (4, 13, 2), (100, 100, 100)])
def test_block_by_block_is_the_same_as_at_once(monkeypatch, block):
    monkeypatch.setattr(module, "BLOCK", block)
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 2**40, SHAPE, dtype=np.uint64)
    nodes = rng.integers(0, SHAPE, (300, 3))
    before, told, volume = nodes.copy(), [], Watched(ids)
    found = node_segments(volume, nodes, lambda *step: told.append(step))
    assert found.dtype == ids.dtype
    assert np.array_equal(found, ids[tuple(nodes.T)])
    assert np.array_equal(nodes, before)
    assert np.all(np.array(volume.extents) <= block)
    assert len(volume.extents) == len(np.unique(nodes // block, axis=0)) == len(told) - 1
    assert told[-1][1] == told[-1][2] > 0


def test_only_the_box_around_the_nodes_is_read():
    ids = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    volume = Watched(ids)
    nodes = np.array([[3, 9, 16], [1, 10, 4], [3, 9, 16]])
    assert node_segments(volume, nodes).tolist() == [ids[3, 9, 16], ids[1, 10, 4], ids[3, 9, 16]]
    assert volume.extents == [(3, 2, 13)]


def test_no_nodes_and_no_ids():
    assert node_segments(ArrayVolume(np.ones(SHAPE, np.uint8)), np.empty((0, 3), np.int64)).tolist() == []
    with pytest.raises(DataError, match=r"pred\.h5: holds float32, not segment ids"):
        node_segments(ArrayVolume(np.ones(SHAPE, np.float32), source="pred.h5"), np.zeros((1, 3), np.int64))

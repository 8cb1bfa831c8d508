"""Decoding in blocks from the disk, for tests."""

from __future__ import annotations

import numpy as np

from pytc_auto.decoding.block_files import save
from pytc_auto.decoding.blockwise import Decoding, PaintTask, make_graph, segments
from pytc_auto.decoding.decode import complete
from pytc_auto.geometry import Box, blocks
from pytc_auto.io.ome_zarr import create_image, create_labels
from pytc_auto.io.working_grid import WorkingGrid
from pytc_auto.schema.plan import NO_ZOOM


def serial(task, boxes, name):
    for box in boxes:
        task(box)


def in_blocks(folder, stored, plan, choice, block, *, run=serial, painted=(16, 8, 24)):
    """A stored prediction, decoded from the disk."""
    image = create_image(
        folder / "out",
        shape_czyx=stored.shape,
        chunks=(1, 64, 64, 64),
        dtype="uint8",
        voxel_size_nm=(1.0, 1.0, 1.0),
        attributes={},
    )
    image[:] = stored
    shape = stored.shape[1:]
    decoding = Decoding(folder / "out", folder / "state", plan, complete(choice), shape, block)
    make_graph(decoding, run)
    lookup = segments(decoding)
    save(folder / "lookup.npz", {"lookup": lookup})
    labels = create_labels(
        folder / "out",
        "found",
        shape=shape,
        chunks=(8, 8, 8) if painted[1] == 8 else (64, 64, 64),
        dtype=lookup.dtype,
        voxel_size_nm=(1.0, 1.0, 1.0),
        attributes={},
    )
    whole = Box.of_shape(shape)
    grid = WorkingGrid(shape, (1, 1, 1), NO_ZOOM)
    paint = PaintTask(
        decoding.regions, folder / "lookup.npz", folder / "out" / "labels" / "found", whole.start, whole.start, grid
    )
    run(paint, list(blocks(whole, painted)), "labels")
    return labels[:]


def same(found, expected):
    """Equal up to renaming."""
    np.testing.assert_array_equal(found > 0, expected > 0)
    pairs = np.unique(found.astype(np.int64) * (int(expected.max()) + 1) + expected)
    assert len(np.unique(found)) == len(np.unique(expected)) == len(pairs)

"""HDF5: one data set in compressed chunks, with voxel size and offset as attributes."""

from __future__ import annotations

from pathlib import Path

import h5py

from pytc_auto.geometry import Zyx, blocks
from pytc_auto.io.export.streams import BLOCK
from pytc_auto.io.volume import Volume
from pytc_auto.progress import Progress, silent, walked

KEY = "main"
_CHUNK: Zyx = (64, 64, 64)
_MICROMETERS = 1e-3


def write_hdf5(volume: Volume, path: Path, *, progress: Progress = silent) -> None:
    """Write labels, in their own dtype, as the data set ``main``.

    Its attributes are ``resolution`` and ``offset``, (z, y, x) in nanometers, and ``element_size_um`` for
    Fiji and ilastik.

    Raises:
        DataError: The volume is damaged.
    """
    chunks = tuple(min(c, n) for c, n in zip(_CHUNK, volume.shape, strict=True))
    with h5py.File(path, "w", locking="best-effort") as file:
        array = file.create_dataset(
            KEY, volume.shape, volume.dtype, chunks=chunks, compression="gzip", compression_opts=4, shuffle=True
        )
        for number, axis in enumerate("zyx"):
            array.dims[number].label = axis
        if volume.voxel_size_nm is not None:
            array.attrs["resolution"] = volume.voxel_size_nm
            array.attrs["element_size_um"] = [_MICROMETERS * s for s in volume.voxel_size_nm]
        if volume.offset_nm is not None:
            array.attrs["offset"] = volume.offset_nm
        for box in walked("writing h5", progress, list(blocks(volume.box, BLOCK))):
            array[box.slices] = volume.read(box)

"""Compressed NIfTI, written from front to back. Lengths are micrometers, and the header says so."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np

from pytc_auto.io.export.streams import holding, strips
from pytc_auto.io.volume import Volume
from pytc_auto.progress import Progress, silent

DTYPES = ("uint8", "uint16", "uint32", "uint64")

_ROWS = 256
_LEVEL = 4
_MICROMETERS = 1e-3


def write_nifti(volume: Volume, path: Path, *, progress: Progress = silent) -> None:
    """Write labels as NIfTI 1 of the smallest dtype that holds them.

    Axes point as in files that SimpleITK makes of an array: to the left, to the back, up.

    Raises:
        OutputError: There are labels below 0.
        DataError: The volume is damaged.
    """
    dtype = holding(volume, DTYPES, path, progress=progress)
    with path.open("wb") as file, gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as stream:
        _header(volume, dtype).write_to(stream)
        for strip in strips(volume, _ROWS, what="writing nii.gz", progress=progress):
            stream.write(strip.astype(dtype.newbyteorder("<")).tobytes())


def _header(volume: Volume, dtype: np.dtype[Any]) -> Any:
    """Shape, dtype, voxel size and offset, x first."""
    from nibabel import Nifti1Header

    header = Nifti1Header(endianness="<")
    header.set_data_shape(volume.shape[::-1])
    header.set_data_dtype(dtype)
    header.set_data_offset(header.single_vox_offset)
    if volume.voxel_size_nm is not None:
        size = [_MICROMETERS * s for s in reversed(volume.voxel_size_nm)]
        start = [_MICROMETERS * s for s in reversed(volume.offset_nm or (0.0, 0.0, 0.0))]
        affine = np.diag([-size[0], -size[1], size[2], 1.0])
        affine[:3, 3] = [-start[0], -start[1], start[2]]
        header.set_zooms(size)
        header.set_sform(affine, "scanner")
        header.set_qform(affine, "scanner")
        header.set_xyzt_units("micron")
    return header

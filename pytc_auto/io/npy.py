"""NumPy's .npy, mapped into memory. It carries no voxel size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pytc_auto.geometry import Box
from pytc_auto.io.volume import Array, FileVolume, Volume, damaged, number_dtype, volume_shape


class NpyVolume(FileVolume):
    """An array in a .npy file."""

    def __init__(self, path: Path) -> None:
        self.source = str(path)
        self.path = path
        self.voxel_size_nm = None
        with damaged(self.source):
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            self.shape = volume_shape(array.shape, self.source)
            self.dtype = number_dtype(array.dtype, self.source)

    def _open(self) -> Any:
        return np.load(self.path, mmap_mode="r", allow_pickle=False).reshape(self.shape)

    def _load(self, opened: Any, box: Box) -> Array:
        return np.array(opened[box.slices])


def open_npy(path: Path) -> Volume:
    """The array of a .npy file.

    Raises:
        DataError: The file is damaged, holds objects, or its array is not a volume.
    """
    return NpyVolume(path)

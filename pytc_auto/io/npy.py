"""NumPy's .npy, mapped into memory. It carries no voxel size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pytc_auto.geometry import Box
from pytc_auto.io.axes import describe, find_axes
from pytc_auto.io.volume import Array, FileVolume, Volume, damaged, number_dtype


class NpyVolume(FileVolume):
    """An array in a .npy file."""

    def __init__(self, path: Path, channel: int | None) -> None:
        self.source = str(path)
        self.path = path
        self.voxel_size_nm = None
        with damaged(self.source):
            array = self._open()
            self.dtype = number_dtype(array.dtype, self.source)
            self.axes = find_axes(array.shape, None, channel, self.source)
            describe(self, self.axes, None)

    def _open(self) -> Any:
        return np.load(self.path, mmap_mode="r", allow_pickle=False)

    def _load(self, opened: Any, box: Box) -> Array:
        return np.array(self.axes.arranged(opened[self.axes.index(box)], box.shape))


def open_npy(path: Path, *, channel: int | None = None) -> Volume:
    """The array of a .npy file.

    Raises:
        DataError: The file is damaged, holds objects, or its array is not a volume.
    """
    return NpyVolume(path, channel)

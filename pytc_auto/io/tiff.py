"""TIFF stacks: plain, ImageJ and OME. Uncompressed ones are mapped into memory, others decoded page by page."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box, Zyx, ZyxFloat
from pytc_auto.io.volume import Array, FileVolume, SectionVolume, Volume, colored, damaged, number_dtype, volume_shape
from pytc_auto.io.voxel_size import in_nm, usable

_MOST_CHANNELS = 7
"""As many as ImageJ shows. Writers that are not told the axes call them channels: a stack with more of them holds sections."""


class MappedTiff(FileVolume):
    """A stack whose voxels lie in the file one after the other."""

    def __init__(self, path: Path, series: Any) -> None:
        self.path = path
        self.stored_dtype = np.dtype(series.keyframe.dtype).newbyteorder(series.keyframe.parent.byteorder)
        self.offset = int(series.dataoffset)

    def _open(self) -> Array:
        return np.memmap(self.path, dtype=self.stored_dtype, mode="r", offset=self.offset, shape=self.shape)

    def _load(self, opened: Array, box: Box) -> Array:
        return np.array(opened[box.slices])


class PagedTiff(SectionVolume):
    """A stack of pages that are compressed, tiled or scattered."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def _decoder(self) -> Callable[[int], Array]:
        with tifffile.TiffFile(self.path) as file:
            pages = list(file.series[0].pages)
            handle = file.filehandle
        lock = threading.Lock()

        def decode(section: int) -> Array:
            with lock:
                handle.open()
                try:
                    return np.asarray(pages[section].asarray()).reshape(self.shape[1:])
                finally:
                    handle.close()

        return decode


def open_tiff(path: Path) -> Volume:
    """The stack or image in a TIFF file.

    Args:
        path: The file. Voxel size is read from ImageJ's and from OME's metadata, whatever their unit.

    Raises:
        DataError: The file is truncated or damaged, in color, or not one stack of equal pages.
    """
    source = str(path)
    with damaged(source), tifffile.TiffFile(path) as file:
        if file.pages[0].samplesperpixel > 1:
            raise colored(source, file.pages[0].samplesperpixel)
        _check_length(file, source)
        series = file.series[0]
        shape = _stack_shape(file, source)
        volume: MappedTiff | PagedTiff
        volume = PagedTiff(path) if series.dataoffset is None else MappedTiff(path, series)
        volume.source, volume.shape, volume.dtype = source, shape, number_dtype(series.dtype, source)
        volume.voxel_size_nm = _ome_voxel_size(file.ome_metadata) if file.is_ome else _imagej_voxel_size(file)
    return volume


def _check_length(file: Any, source: str) -> None:
    """See that the file holds all pages it announces, and all their bytes.

    Raises:
        DataError: It ends too early.
    """
    size, series = file.filehandle.size, file.series[0]
    if series.dataoffset is not None:
        ends = [series.dataoffset + series.nbytes]
    else:
        ends = [o + n for page in series.pages for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
    images = int((file.imagej_metadata or {}).get("images", 1))
    pages = max(len(file.pages), int(np.prod(series.shape[:-2])))
    following = _next_page_offset(file)
    if max(ends) > size or following >= size or images > pages:
        raise DataError(
            f"{source}: is truncated or damaged: it has {size} bytes and {pages} whole pages, but its header announces more. "
            "Copy or export it again."
        )


def _next_page_offset(file: Any) -> int:
    """Where the page after the last one that was found should start; 0 if there should be none."""
    handle, layout, last = file.filehandle, file.tiff, file.pages[len(file.pages) - 1].offset
    handle.seek(last)
    (tags,) = struct.unpack(layout.tagnoformat, handle.read(layout.tagnosize))
    handle.seek(last + layout.tagnosize + tags * layout.tagsize)
    (offset,) = struct.unpack(layout.offsetformat, handle.read(layout.offsetsize))
    return int(offset)


def _stack_shape(file: Any, source: str) -> Zyx:
    """(Z, Y, X) of the first series.

    Raises:
        DataError: It has channels or time points, or pages of different shapes.
    """
    series = file.series[0]
    shapes = sorted({tuple(s.shape) for s in file.series})
    if not file.is_ome and len(shapes) > 1:
        raise DataError(f"{source}: its pages differ in shape: {shapes}. Store one stack of equal pages.")
    sizes = [(a, n) for a, n in zip(series.axes, series.shape, strict=True) if n > 1 or a in "YX"]
    channels = dict(sizes).get("C", 1)
    if channels > 1 and (len(sizes) > 3 or channels <= _MOST_CHANNELS):
        raise DataError(
            f"{source}: has {channels} channels (axes {series.axes}), a volume has one. "
            "Keep one channel; if they are sections, save them as such (axes ZYX)."
        )
    shape = volume_shape([n for _, n in sizes], source)
    if series.dataoffset is None and len(series.pages) != shape[0]:
        raise DataError(f"{source}: a compressed page holds several sections. Save it with one page for each section.")
    return shape


def _imagej_voxel_size(file: Any) -> ZyxFloat | None:
    """Voxel size from ImageJ's spacing and unit and from the resolution tags."""
    metadata, tags = file.imagej_metadata or {}, file.pages[0].tags
    if "spacing" not in metadata or "XResolution" not in tags or "YResolution" not in tags:
        return None
    per_unit = [tags[name].value for name in ("YResolution", "XResolution")]
    if any(not pixels for pixels, _ in per_unit):
        return None
    lengths = [abs(float(metadata["spacing"])), *(units / pixels for pixels, units in per_unit)]
    return usable([in_nm(v, str(metadata.get("unit", ""))) for v in lengths])


def _ome_voxel_size(xml: str) -> ZyxFloat | None:
    """Voxel size from PhysicalSizeZ, Y and X; OME's unit is the micrometer unless it is given."""
    pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    if pixels is None:
        return None
    sizes = [(pixels.get(f"PhysicalSize{a}", "nan"), pixels.get(f"PhysicalSize{a}Unit", "µm")) for a in "ZYX"]
    return usable([in_nm(float(value), unit) for value, unit in sizes])

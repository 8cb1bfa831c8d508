"""TIFF stacks: plain, ImageJ and OME. Uncompressed ones are mapped into memory, others decoded by strip or tile."""

from __future__ import annotations

import itertools
import math
import struct
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box, ZyxFloat
from pytc_auto.io.axes import Axes, describe, find_axes, piece_bytes
from pytc_auto.io.volume import CACHE_BYTES, Array, FileVolume, Volume, colored, damaged, number_dtype, volume_shape
from pytc_auto.io.voxel_size import in_nm, usable

_MOST_CHANNELS = 7
"""As many as ImageJ shows. Writers that are not told the axes call them channels: a stack with more of them holds sections."""

_DESCRIPTION = 270

Piece = Callable[[int, int], Array]
"""Decodes a strip or tile of a page, (Y, X, samples)."""


class MappedTiff(FileVolume):
    """A stack whose voxels lie in the file one after the other."""

    def __init__(self, path: Path, series: Any, axes: Axes) -> None:
        self.path = path
        self.axes = axes
        self.stored_dtype = np.dtype(series.keyframe.dtype).newbyteorder(series.keyframe.parent.byteorder)
        self.offset = int(series.dataoffset)

    def _open(self) -> Array:
        return np.memmap(self.path, dtype=self.stored_dtype, mode="r", offset=self.offset, shape=self.axes.extents)

    def _load(self, opened: Array, box: Box) -> Array:
        return np.array(self.axes.arranged(opened[self.axes.index(box)], box.shape))


class PagedTiff(FileVolume):
    """A stack of pages that are compressed, tiled or scattered. Only the strips or tiles that a box meets are decoded."""

    def __init__(self, path: Path, series: Any, axes: Axes) -> None:
        self.path = path
        self.axes = axes
        self.lead = _lead(series, axes)
        self.sample = axes.channel if "S" in series.axes else 0
        page = series.keyframe
        self.piece = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
        self.piece = (min(self.piece[0], page.imagelength), min(self.piece[1], page.imagewidth))
        self.planes = page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and page.samplesperpixel > 1
        self.compressed = page.compression != tifffile.COMPRESSION.NONE

    def _open(self) -> Piece:
        with tifffile.TiffFile(self.path) as file:
            pages, handle = list(file.series[0].pages), file.filehandle
        lock = threading.Lock()

        def decode(number: int, segment: int) -> Array:
            page = pages[number]
            with lock:
                handle.open()
                try:
                    handle.seek(page.dataoffsets[segment])
                    data = handle.read(page.databytecounts[segment])
                finally:
                    handle.close()
            tables = {"jpegtables": page.keyframe.jpegtables} if page.keyframe.jpegtables else {}
            decoded, _, shape = page.keyframe.decode(data or None, segment, **tables)
            return np.full(shape[1:], page.keyframe.nodata) if decoded is None else decoded[0]

        count = CACHE_BYTES // max(1, self.piece[0] * self.piece[1] * self.dtype.itemsize)
        return lru_cache(maxsize=max(1, count))(decode)

    def _load(self, opened: Piece, box: Box) -> Array:
        loaded = np.empty(box.shape, self.dtype)
        for number, z in enumerate(range(box.start[0], box.stop[0])):
            self._fill(loaded[number], opened, z, Box((0, *box.start[1:]), (1, *box.stop[1:])))
        return loaded

    def _fill(self, into: Array, opened: Piece, section: int, box: Box) -> None:
        """Write the wanted part of a section into an array, (Y, X)."""
        page, sample, across = self._place(section)
        high, wide = self.piece
        rows = range(box.start[1] // high, -(-box.stop[1] // high))
        columns = range(box.start[2] // wide, -(-box.stop[2] // wide))
        for row, column in itertools.product(rows, columns):
            decoded = opened(page, across + row * -(-self.shape[2] // wide) + column)[..., sample]
            piece = Box.of_shape((1, *decoded.shape), (0, row * high, column * wide)).intersect(box)
            here, there = piece.relative_to(box.start).slices, piece.relative_to((0, row * high, column * wide)).slices
            into[here[1:]] = decoded[there[1:]]

    def _place(self, section: int) -> tuple[int, int, int]:
        """The page of a section, the sample in its voxels, and the number of the plane's first strip or tile."""
        index = [{"z": section, "c": self.axes.channel}.get(letter, 0) for letter, _ in self.lead]
        page = int(np.ravel_multi_index(index, [n for _, n in self.lead])) if index else 0
        pieces = -(-self.shape[1] // self.piece[0]) * -(-self.shape[2] // self.piece[1])
        return (page, 0, self.sample * pieces) if self.planes else (page, self.sample, 0)


def open_tiff(path: Path, *, channel: int | None = None) -> Volume:
    """The stack or image in a TIFF file.

    Args:
        path: The file. Voxel size is read from ImageJ's and from OME's metadata, whatever their unit.
        channel: Which one, where there are several.

    Raises:
        DataError: The file is truncated or damaged, in color, or not one stack of equal pages.
    """
    source = str(path)
    with damaged(source), tifffile.TiffFile(path) as file:
        page = file.pages[0]
        if page.samplesperpixel > 1 and page.photometric not in (0, 1):
            raise colored(source, page.samplesperpixel)
        _check_length(file, source)
        series = file.series[0]
        axes = _stack_axes(file, channel, source)
        kind = PagedTiff if series.dataoffset is None else MappedTiff
        volume: MappedTiff | PagedTiff = kind(path, series, axes)
        volume.source, volume.dtype = source, number_dtype(series.dtype, source)
        describe(volume, axes, None)
        if isinstance(volume, PagedTiff):
            piece_bytes(volume.piece, volume.dtype, source)
            volume.chunks = (1, *volume.piece)
            volume.random_access = not volume.compressed or volume.piece[0] < volume.shape[1]
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
    if max(*ends, _description_end(file)) > size or following >= size or images > pages:
        raise DataError(
            f"{source}: is truncated or damaged: it has {size} bytes and {pages} whole pages, but its header announces more. "
            "Copy or export it again."
        )


def _description_end(file: Any) -> int:
    """Where the first page's description ends; tifffile leaves it out where it is cut. 0 if there is none."""
    handle, layout, first = file.filehandle, file.tiff, file.pages[0].offset
    handle.seek(first)
    (tags,) = struct.unpack(layout.tagnoformat, handle.read(layout.tagnosize))
    pair = layout.byteorder + ("QQ" if layout.offsetsize == 8 else "II")
    for _ in range(tags):
        entry = handle.read(layout.tagsize)
        (code,), (count, offset) = struct.unpack_from(f"{layout.byteorder}H", entry), struct.unpack_from(pair, entry, 4)
        if code == _DESCRIPTION and count > layout.tagoffsetthreshold:
            return int(offset + count)
    return 0


def _next_page_offset(file: Any) -> int:
    """Where the page after the last one that was found should start; 0 if there should be none."""
    handle, layout, last = file.filehandle, file.tiff, file.pages[len(file.pages) - 1].offset
    handle.seek(last)
    (tags,) = struct.unpack(layout.tagnoformat, handle.read(layout.tagnosize))
    handle.seek(last + layout.tagnosize + tags * layout.tagsize)
    (offset,) = struct.unpack(layout.offsetformat, handle.read(layout.offsetsize))
    return int(offset)


def _stack_axes(file: Any, channel: int | None, source: str) -> Axes:
    """Axes of the first series. Their order is as they lie in the file, whatever writers call them.

    Raises:
        DataError: It has time points, or pages of different shapes, or several channels and none is chosen.
    """
    series = file.series[0]
    shapes = sorted({tuple(s.shape) for s in file.series})
    if not file.is_ome and len(shapes) > 1:
        raise DataError(f"{source}: its pages differ in shape: {shapes}. Store one stack of equal pages.")
    advice = "If they are sections, save them as such (axes ZYX)."
    axes = replace(find_axes(series.shape, _names(series, source), channel, source, advice=advice), named=False)
    page = "".join(letter for letter, name in zip(axes.letters, series.axes, strict=True) if name in "YX")
    if series.dataoffset is None and (page != "yx" or len(series.pages) != math.prod(n for _, n in _lead(series, axes))):
        raise DataError(f"{source}: a compressed page holds several sections. Save it with one page for each section.")
    return axes


def _names(series: Any, source: str) -> list[str] | None:
    """Names for the axes that a TIFF calls by letters: one that is neither a channel nor in a page is z."""
    sizes = list(zip(series.axes, series.shape, strict=True))
    deep = [n for a, n in sizes if a not in "YXCS" and n > 1]
    if len(deep) > 1:
        return None if "Q" in series.axes else volume_shape(series.shape, source) and None
    channels = dict(sizes).get("C", 1)
    c = "c" if deep or channels <= _MOST_CHANNELS else "z"
    return [{"Y": "y", "X": "x", "S": "c", "C": c}.get(a, "z") if n > 1 or a in "YX" else "" for a, n in sizes]


def _lead(series: Any, axes: Axes) -> list[tuple[str, int]]:
    """Letter and extent of the axes along which pages follow one another."""
    return [(letter, n) for letter, n, name in zip(axes.letters, axes.extents, series.axes, strict=True) if name not in "YXS"]


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

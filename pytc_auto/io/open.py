"""Open a volume of any known format by its path."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, TypeVar

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box, Zyx, ZyxFloat
from pytc_auto.io.container import Contents
from pytc_auto.io.n5 import is_n5, n5_contents
from pytc_auto.io.precomputed import is_precomputed
from pytc_auto.io.remote import Folder, Url, is_url, locate_url
from pytc_auto.io.volume import Array, Volume, damaged
from pytc_auto.io.zarr_metadata import is_zarr, zarr_contents
from pytc_auto.schema.dataset import AxisOrder

T = TypeVar("T")

_FORMATS = {
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".hdf": "hdf5",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".png": "sections",
    ".jpg": "sections",
    ".jpeg": "sections",
    ".npy": "npy",
    ".npz": "npz",
    ".mrc": "mrc",
    ".rec": "mrc",
    ".nii": "simpleitk",
    ".nii.gz": "simpleitk",
    ".nrrd": "simpleitk",
    ".nhdr": "simpleitk",
    ".mha": "simpleitk",
    ".mhd": "simpleitk",
}
_STARTS = {
    b"\x89HDF\r\n\x1a\n": "hdf5",
    b"II*\x00": "tiff",
    b"MM\x00*": "tiff",
    b"II+\x00": "tiff",
    b"MM\x00+": "tiff",
    b"\x93NUMPY": "npy",
}
_OPENERS = {
    "hdf5": ("hdf5", "open_hdf5", ("key", "channel")),
    "zarr": ("zarr_arrays", "open_zarr", ("key", "level", "channel")),
    "n5": ("n5", "open_n5", ("key", "level", "channel")),
    "precomputed": ("precomputed", "open_precomputed", ("key", "level", "channel")),
    "npz": ("npz", "open_npz", ("key", "channel")),
    "npy": ("npy", "open_npy", ("channel",)),
    "tiff": ("tiff", "open_tiff", ("channel",)),
    "mrc": ("mrc", "open_mrc", ("channel",)),
    "simpleitk": ("simpleitk", "open_simpleitk", ()),
    "sections": ("sections", "open_sections", ()),
}
"""Module and function that open a format, and what of a volume can be chosen in it."""

_CONTAINERS = ("hdf5", "zarr", "n5", "npz")
_SECTIONS = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
_NAME_SUFFIXES = (".ome.zarr", ".ome.tiff", ".ome.tif", ".nii.gz", ".zarr", ".n5", ".precomputed", *_FORMATS)
_IN_FOLDERS = "zarr, N5 or precomputed"

KNOWN_FORMATS = f"a folder of {_IN_FOLDERS}, a folder of PNG, JPEG or TIFF sections, or a file {', '.join(_FORMATS)}"


class TransposedVolume(Volume):
    """A volume whose file stores the axes in x, y, z order. A single section keeps its place: only y and x change."""

    def __init__(self, volume: Volume) -> None:
        self.volume = volume
        self.source = volume.source
        self.dtype = volume.dtype
        self.order: Zyx = (0, 2, 1) if volume.shape[0] == 1 else (2, 1, 0)
        self.shape = self._ordered(volume.shape)
        self.chunks = volume.chunks and self._ordered(volume.chunks)
        self.voxel_size_nm = volume.voxel_size_nm and self._ordered(volume.voxel_size_nm)
        self.offset_nm = volume.offset_nm and self._ordered(volume.offset_nm)
        self.levels_nm = tuple(self._ordered(size) for size in volume.levels_nm)
        self.random_access, self.channels, self.channel = volume.random_access, volume.channels, volume.channel

    def _read(self, box: Box) -> Array:
        return self.volume.read(Box(self._ordered(box.start), self._ordered(box.stop))).transpose(self.order)

    def _ordered(self, values: tuple[T, T, T]) -> tuple[T, T, T]:
        a, b, c = self.order
        return values[a], values[b], values[c]


def open_volume(
    path: str | Path,
    *,
    key: str | None = None,
    axes: AxisOrder = "zyx",
    voxel_size_nm: ZyxFloat | None = None,
    level: int = 0,
    channel: int | None = None,
) -> Volume:
    """Open a volume; no voxels are read.

    Args:
        path: A file, a folder, or the URL (https, http, s3, gs) of a zarr, N5 or precomputed volume; ``path:key`` names a data
            set inside a container, or a level of a pyramid.
        key: The same as ``:key`` in the path.
        axes: The order in which the file stores the axes, for files that do not tell it. Where the file itself names
            its axes, those names win, and this is not heeded: nothing is turned twice. The volume is z, y, x in any case, its
            voxel size too.
        voxel_size_nm: (z, y, x); it wins over what the file tells.
        level: Of the stored pyramid, 0 for the finest.
        channel: Which one, from 0, of a file that stores several. They are the axis that the file names so; without names, of
            four axes the shorter of the first and the last, if it has no more than 8.

    Returns:
        The volume. An image of two axes has one section. ``open_volume(volume.source, axes=axes, channel=channel)`` opens it
        again.

    Raises:
        DataError: There is no such file; its format is not known; it is damaged or not a volume; it holds several data sets or
            channels; it has no such level or channel.
    """
    place, inside = locate(path)
    with damaged(str(path)):
        volume = _open(place, {"key": inside if key is None else key, "level": level, "channel": channel})
    if axes == "xyz" and not volume.axes_named:
        volume = TransposedVolume(volume)
    if voxel_size_nm is not None:
        volume.voxel_size_nm = voxel_size_nm
    if not volume.levels_nm and volume.voxel_size_nm is not None and level == 0:
        volume.levels_nm = (volume.voxel_size_nm,)
    return volume


def open_segmentation(
    path: str | Path,
    *,
    key: str | None = None,
    axes: AxisOrder = "zyx",
    voxel_size_nm: ZyxFloat | None = None,
) -> Volume:
    """Open a label volume: like ``open_volume``, but of an OME-Zarr image with labels the labels are meant.

    Raises:
        DataError: As ``open_volume``; or the image has several labels and none is called segmentation.
    """
    place, inside = locate(path)
    key = inside if key is None else key
    if key is None and format_of(place) == "zarr":
        labels = [k for k in contents_of(place) if k.startswith("labels/")]
        if "labels/segmentation" in labels:
            key = "labels/segmentation"
        elif labels:
            key = "labels"
    return open_volume(str(place), key=key, axes=axes, voxel_size_nm=voxel_size_nm)


def locate(path: str | Path) -> tuple[Folder, str | None]:
    """Where a volume lies, and the key after the last colon where the path has one.

    Raises:
        DataError: There is no such file or folder.
    """
    if is_url(path):
        return locate_url(path)
    with damaged(str(path)):
        if Path(path).exists():
            return Path(path), None
        before, colon, key = str(path).rpartition(":")
        if colon and before and Path(before).exists():
            return Path(before), key
    raise DataError(f"{path}: is not there. Check the path; a data set inside a container is named as PATH:KEY.")


def absolute(source: str) -> str:
    """A volume's source as it can be opened from any working directory."""
    return source if is_url(source) else str(Path(source).absolute())


def format_of(path: Folder) -> str | None:
    """Which format a file, folder or URL has, by suffix, else by what it starts with; None if it is not known.

    Raises:
        DataError: It cannot be read.
    """
    with damaged(str(path)):
        if isinstance(path, Url) or path.is_dir():
            tests = {"zarr": is_zarr, "precomputed": is_precomputed, "n5": is_n5}
            found = next((name for name, test in tests.items() if test(path)), None)
            sections = isinstance(path, Path) and any(p.suffix.lower() in _SECTIONS for p in path.iterdir())
            return found or ("sections" if sections else None)
        suffix = _suffix(path)
        if suffix in _FORMATS or not path.is_file():
            return _FORMATS[suffix] if path.is_file() else None
        with path.open("rb") as file:
            start = file.read(8)
        return next((name for magic, name in _STARTS.items() if start.startswith(magic)), None)


def stem(path: Folder) -> str:
    """A volume's name: its file's without the suffix of its format, both parts of it where it has two."""
    suffix = next((s for s in _NAME_SUFFIXES if path.name.lower().endswith(s)), "")
    return path.name[: len(path.name) - len(suffix)]


def contents_of(path: Folder) -> Contents:
    """The data sets of a container by key; none if the path is not a container.

    Raises:
        DataError: It is damaged.
    """
    kind = format_of(path)
    if kind == "zarr":
        return zarr_contents(path)
    if kind == "n5":
        return n5_contents(path)
    if kind in _CONTAINERS:
        return getattr(importlib.import_module(f"pytc_auto.io.{kind}"), f"{kind}_contents")(path)
    return {}


def is_container(path: Folder) -> bool:
    """Whether a file or folder holds volumes under keys."""
    return format_of(path) in _CONTAINERS


def _open(path: Folder, wanted: dict[str, Any]) -> Volume:
    """The volume of a file in the format it has."""
    kind = format_of(path)
    if kind is None and isinstance(path, Url):
        raise DataError(f"{path}: is no {_IN_FOLDERS} volume; other formats are not read from afar. Check it, or download it.")
    if kind is None:
        found = "holds nothing readable" if isinstance(path, Path) and path.is_dir() else "is of no known format"
        raise DataError(f"{path}: {found}. Known: {KNOWN_FORMATS}.")
    module, function, choices = _OPENERS[kind]
    _refuse_choices(path, wanted, choices)
    opener = getattr(importlib.import_module(f"pytc_auto.io.{module}"), function)
    return opener(path, **{name: wanted[name] for name in choices})


def _refuse_choices(path: Folder, wanted: dict[str, Any], choices: tuple[str, ...]) -> None:
    """See that no more is chosen than a format offers.

    Raises:
        DataError: There is only one volume, level or channel.
    """
    if "key" not in choices and wanted["key"] is not None:
        raise DataError(f"{path}: holds a single volume. Leave out the key {wanted['key']!r}.")
    for name in ("level", "channel"):
        if name not in choices and wanted[name]:
            raise DataError(f"{path}: has no {name} {wanted[name]}; it has one, which is 0.")


def _suffix(path: Path) -> str:
    return ".nii.gz" if path.name.lower().endswith(".nii.gz") else path.suffix.lower()

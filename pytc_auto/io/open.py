"""Open a volume of any known format by its path."""

from __future__ import annotations

from pathlib import Path

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box, Zyx, ZyxFloat
from pytc_auto.io.container import Contents
from pytc_auto.io.volume import Array, Volume
from pytc_auto.io.zarr_metadata import is_zarr, zarr_contents
from pytc_auto.schema.dataset import AxisOrder

_FORMATS = {
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".hdf": "hdf5",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".png": "section",
    ".npy": "npy",
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
_CONTAINERS = ("hdf5", "zarr")
_NAME_SUFFIXES = (".ome.zarr", ".ome.tiff", ".ome.tif", ".nii.gz", ".zarr", *_FORMATS)

KNOWN_FORMATS = f"a zarr folder, a folder of PNG or TIFF sections, or a file {', '.join(_FORMATS)}"


class TransposedVolume(Volume):
    """A volume whose file stores the axes in x, y, z order. A single section keeps its place: only y and x change."""

    def __init__(self, volume: Volume) -> None:
        self.volume = volume
        self.source = volume.source
        self.dtype = volume.dtype
        self.order: Zyx = (0, 2, 1) if volume.shape[0] == 1 else (2, 1, 0)
        self.shape = self._ordered(volume.shape)
        size = volume.voxel_size_nm
        self.voxel_size_nm = size and (size[self.order[0]], size[self.order[1]], size[self.order[2]])

    def _read(self, box: Box) -> Array:
        return self.volume.read(Box(self._ordered(box.start), self._ordered(box.stop))).transpose(self.order)

    def _ordered(self, values: Zyx) -> Zyx:
        a, b, c = self.order
        return values[a], values[b], values[c]


def open_volume(
    path: str | Path,
    *,
    key: str | None = None,
    axes: AxisOrder = "zyx",
    voxel_size_nm: ZyxFloat | None = None,
) -> Volume:
    """Open a volume; no voxels are read.

    Args:
        path: A file or folder; ``path:key`` names a data set inside an HDF5 file or zarr group.
        key: The same as ``:key`` in the path.
        axes: The order in which the file stores the axes. The volume is z, y, x in any case, its voxel size too.
        voxel_size_nm: (z, y, x); it wins over what the file tells.

    Returns:
        The volume. An image of two axes has one section. ``open_volume(volume.source, axes=axes)`` opens it again.

    Raises:
        DataError: There is no such file; its format is not known; it is damaged or not a volume; it holds several data sets.
    """
    place, inside = locate(path)
    volume = _open(place, inside if key is None else key)
    if axes == "xyz":
        volume = TransposedVolume(volume)
    if voxel_size_nm is not None:
        volume.voxel_size_nm = voxel_size_nm
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
    return open_volume(place, key=key, axes=axes, voxel_size_nm=voxel_size_nm)


def locate(path: str | Path) -> tuple[Path, str | None]:
    """Where a volume lies, and the key after the last colon where the path has one.

    Raises:
        DataError: There is no such file or folder.
    """
    if Path(path).exists():
        return Path(path), None
    before, colon, key = str(path).rpartition(":")
    if colon and before and Path(before).exists():
        return Path(before), key
    raise DataError(f"{path}: is not there. Check the path; a data set inside a container is named as PATH:KEY.")


def format_of(path: Path) -> str | None:
    """Which format a file or folder has, by suffix, else by what it starts with; None if it is not known."""
    if path.is_dir():
        if is_zarr(path):
            return "zarr"
        return "sections" if any(p.suffix.lower() in (".png", ".tif", ".tiff") for p in path.iterdir()) else None
    suffix = _suffix(path)
    if suffix in _FORMATS:
        return _FORMATS[suffix]
    with path.open("rb") as file:
        start = file.read(8)
    return next((name for magic, name in _STARTS.items() if start.startswith(magic)), None)


def stem(path: Path) -> str:
    """A volume's name: its file's without the suffix of its format, both parts of it where it has two."""
    suffix = next((s for s in _NAME_SUFFIXES if path.name.lower().endswith(s)), "")
    return path.name[: len(path.name) - len(suffix)]


def contents_of(path: Path) -> Contents:
    """The data sets of a container by key; none if the path is not a container.

    Raises:
        DataError: It is damaged.
    """
    kind = format_of(path)
    if kind == "hdf5":
        from pytc_auto.io.hdf5 import hdf5_contents

        return hdf5_contents(path)
    if kind == "zarr":
        return zarr_contents(path)
    return {}


def is_container(path: Path) -> bool:
    """Whether a file or folder holds volumes under keys."""
    return format_of(path) in _CONTAINERS


def _open(path: Path, key: str | None) -> Volume:
    """The volume of a file in the format it has."""
    kind = format_of(path)
    if kind is None:
        found = "holds nothing readable" if path.is_dir() else "is of no known format"
        raise DataError(f"{path}: {found}. Known: {KNOWN_FORMATS}.")
    if kind in _CONTAINERS:
        return _open_container(path, key, kind)
    if key is not None:
        raise DataError(f"{path}: holds a single volume. Leave out the key {key!r}.")
    return _open_single(path, kind)


def _open_container(path: Path, key: str | None, kind: str) -> Volume:
    if kind == "hdf5":
        from pytc_auto.io.hdf5 import open_hdf5

        return open_hdf5(path, key)
    from pytc_auto.io.zarr_arrays import open_zarr

    return open_zarr(path, key)


def _open_single(path: Path, kind: str) -> Volume:
    if kind == "tiff":
        from pytc_auto.io.tiff import open_tiff

        return open_tiff(path)
    if kind == "npy":
        from pytc_auto.io.npy import open_npy

        return open_npy(path)
    if kind == "simpleitk":
        from pytc_auto.io.simpleitk import open_simpleitk

        return open_simpleitk(path)
    from pytc_auto.io.sections import open_sections

    return open_sections(path)


def _suffix(path: Path) -> str:
    return ".nii.gz" if path.name.lower().endswith(".nii.gz") else path.suffix.lower()

"""What tells a volume from another one, and from the same one changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from pytc_auto.io.open import locate
from pytc_auto.io.volume import Volume

METADATA = ("zarr.json", ".zarray", ".zattrs", ".zgroup", "attributes.json", "info")
"""Of zarr, N5 and precomputed: shape, type, chunks and codecs, and where the levels of a pyramid are."""


def volume_identity(path: str, volume: Volume) -> dict[str, object]:
    """For a file its time of change; for a folder that, too, and what describes its arrays, or else the files in it.

    Values that are written over in chunks that are there already are not noticed. What lies at a URL counts as unchanged.
    """
    place, key = locate(path)
    told: dict[str, object] = {"key": key, "shape": volume.shape, "dtype": str(volume.dtype)}
    if not isinstance(place, Path):
        return {"path": str(place), **told, "modified": None}
    told |= {"path": str(place.resolve()), "modified": place.stat().st_mtime_ns}
    return told if place.is_file() else {**told, "contents": _contents(place)}


def _contents(folder: Path) -> str:
    """A hash of a folder's metadata files, or of the names, sizes and times of its files if it has none."""
    digest = hashlib.sha256()
    found = list(_metadata(folder))
    for file in found:
        digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes() + b"\0")
    for file in sorted(folder.iterdir()) if not found else ():
        if file.is_file():
            digest.update(f"{file.name}\0{file.stat().st_size}\0{file.stat().st_mtime_ns}\0".encode())
    return digest.hexdigest()


def _metadata(folder: Path) -> Iterator[Path]:
    """Those of a group, and of the groups and arrays in it; folders without any hold chunks, and are not looked into."""
    here = [folder / name for name in METADATA if (folder / name).is_file()]
    yield from here
    if here and not any(file.name == ".zarray" for file in here):
        for inner in sorted(path for path in folder.iterdir() if path.is_dir()):
            yield from _metadata(inner)

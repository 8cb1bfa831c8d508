"""Neuroglancer's precomputed volumes, raw, compressed or sharded. They store x, y, z; sizes are in nanometers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytc_auto.errors import DataError
from pytc_auto.io.levels import Level, chosen, note_levels
from pytc_auto.io.remote import Folder, kvstore
from pytc_auto.io.store import StoreVolume
from pytc_auto.io.volume import Volume, damaged
from pytc_auto.io.voxel_size import finite, usable
from pytc_auto.io.zarr_metadata import read_json


def is_precomputed(path: Folder) -> bool:
    """Whether a folder describes itself as such."""
    return (path / "info").is_file()


def open_precomputed(path: Folder, key: str | None = None, *, level: int = 0, channel: int | None = None) -> Volume:
    """A scale of a precomputed volume.

    Args:
        path: The folder that holds ``info``.
        key: Of a scale; instead of ``level``.
        level: Number of a scale, 0 for the finest.
        channel: Which one, where there are several.

    Raises:
        DataError: The volume is damaged, or the scale is not there.
    """
    with damaged(str(path)):
        info = read_json(path / "info")
        if not info.get("scales"):
            raise DataError(f"{path}: its info describes no scale of a volume. Give the folder of the image or segmentation.")
        levels = [_level(scale) for scale in info["scales"]]
        number = _number(path, levels, key) if key else level
        inside = chosen(levels, number, str(path)).key
        source = f"{path}:{inside}" if number else str(path)
        spec = {"driver": "neuroglancer_precomputed", "kvstore": kvstore(path), "scale_index": number}
        volume = StoreVolume(spec, source, names="czyx", channel=channel)
        note_levels(volume, levels, number)
    return volume


def _number(path: Folder, levels: list[Level], key: str) -> int:
    keys = [level.key for level in levels]
    if key not in keys:
        raise DataError(f"{path}: has no scale {key}. It holds {', '.join(keys)}.")
    return keys.index(key)


def _level(scale: Mapping[str, Any]) -> Level:
    size = usable([float(v) for v in reversed(scale["resolution"])])
    start = finite([float(v) for v in reversed(scale.get("voxel_offset", [0, 0, 0]))])
    offset = None if size is None or start is None else finite([a * b for a, b in zip(start, size, strict=True)])
    return Level(str(scale["key"]), size, offset)

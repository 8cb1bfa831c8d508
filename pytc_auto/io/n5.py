"""N5: arrays and pyramids s0, s1, .... Their dimensions, axes and resolutions are listed with x first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytc_auto.io.container import Contents, resolve_key
from pytc_auto.io.levels import Level, chosen, note_levels
from pytc_auto.io.remote import Folder, Url, kvstore, unlisted
from pytc_auto.io.store import StoreVolume
from pytc_auto.io.volume import Volume, damaged
from pytc_auto.io.voxel_size import finite, in_nm, usable
from pytc_auto.io.zarr_metadata import read_json

Attributes = Mapping[str, Any]
_DEEPEST = 32


def is_n5(path: Folder) -> bool:
    """Whether a folder is an N5 container, group or array."""
    return path.name.endswith(".n5") or (path / "attributes.json").is_file()


def n5_contents(path: Folder) -> Contents:
    """The arrays in an N5 container, and the groups that are pyramids, without their levels. Extents are z, y, x.

    Raises:
        DataError: The metadata are damaged.
    """
    with damaged(str(path)):
        return {key: shape for key, shape in _walk(path, "") if len(shape) >= 2}


def open_n5(path: Folder, key: str | None = None, *, level: int = 0, channel: int | None = None) -> Volume:
    """An array of an N5 container, or a level of a pyramid.

    Args:
        path: A container, group or array.
        key: An array, a pyramid or a level inside it; may be left out where there is only one.
        level: Of a pyramid, 0 for the finest.
        channel: Which one, where there are several.

    Raises:
        DataError: The array is damaged, not there, or not a volume.
    """
    with damaged(str(path)):
        found = _resolved(path, (key or "").strip("/"))
        group = path / found
        if "dimensions" not in _attributes(group):
            inside = chosen([Level(name) for name in _level_names(group)], level, _source(path, found)).key
            return _open(group, inside, _source(path, f"{found}/{inside}".strip("/") if level else found), channel)
        chosen([Level(found)], level, _source(path, found))
        names = _level_names(group.absolute().parent)
        if group.absolute().name in names:
            return _open(group.absolute().parent, group.absolute().name, _source(path, found), channel)
        return _open(group, "", _source(path, found), channel)


def _open(group: Folder, inside: str, source: str, channel: int | None) -> Volume:
    """A level of a pyramid, or an array alone."""
    own, above = _attributes(group / inside), _attributes(group)
    names = _names(own) or _names(above)
    volume = StoreVolume({"driver": "n5", "kvstore": kvstore(group / inside)}, source, names=names, channel=channel)
    order = [a for a in volume.axes.letters if a in "zyx"]
    keys = _level_names(group) if inside else [""]
    first = _attributes(group / keys[0])
    levels = [_level(name, _attributes(group / name), first, above, order) for name in keys]
    note_levels(volume, levels, keys.index(inside))
    return volume


def _level(name: str, own: Attributes, first: Attributes, above: Attributes, order: Sequence[str]) -> Level:
    """Voxel size and offset of a level: its own, else those of the pyramid times the factors of the level."""
    factors = _in_order(own.get("downsamplingFactors"), order) or [1.0] * 3
    base = _size(first, order) or _size(above, order)
    size = _size(own, order) or base
    if size is not None and size == base:
        size = [s * f for s, f in zip(size, factors, strict=True)]
    transform = _transform(own)
    offset = transform.get("translate") and _by_axis(transform, transform["translate"])
    return Level(name, usable(size or []), finite(offset or _in_order(own.get("offset"), order) or []))


def _size(attributes: Attributes, order: Sequence[str]) -> list[float] | None:
    """Voxel size in nanometers as z, y, x, from ``transform``, ``pixelResolution`` or ``resolution``; None if not told."""
    transform, pixel = _transform(attributes), attributes.get("pixelResolution")
    if "scale" in transform:
        return _by_axis(transform, transform["scale"])
    if isinstance(pixel, Mapping):
        found = _in_order(pixel.get("dimensions"), order)
        return found and [in_nm(v, pixel.get("unit")) for v in found]
    units = attributes.get("units")
    found = _in_order(attributes.get("resolution"), order)
    unit = units[0] if isinstance(units, list) and units else units or "nm"
    return found and [in_nm(v, str(unit)) for v in found]


def _transform(attributes: Attributes) -> dict[str, Any]:
    found = attributes.get("transform")
    return dict(found) if isinstance(found, Mapping) and found.get("axes") else {}


def _by_axis(transform: Attributes, values: Sequence[float]) -> list[float]:
    """Values of a transform, which names its axes, in nanometers as z, y, x."""
    units = transform.get("units") or ["nm"] * len(values)
    by_axis = {a: in_nm(v, u) for a, v, u in zip(transform["axes"], values, units, strict=True)}
    return [by_axis.get(a, math.nan) for a in "zyx"]


def _in_order(values: Any, order: Sequence[str]) -> list[float] | None:
    """Three values that stand with the fastest axis first, as z, y, x. ``order``: of the axes, slowest first."""
    if not isinstance(values, list) or len(values) < 3 or len(order) != 3:
        return None
    by_axis = dict(zip(order, [float(v) for v in values[:3][::-1]], strict=True))
    return [by_axis[a] for a in "zyx"]


def _names(attributes: Attributes) -> list[str] | None:
    """Names of the axes, slowest first."""
    given = attributes.get("axes")
    return [str(a["name"] if isinstance(a, Mapping) else a) for a in reversed(given)] if isinstance(given, list) else None


def _resolved(path: Folder, wanted: str) -> str:
    """The key of an array or pyramid, given its own or that of a group above it."""
    if "dimensions" in _attributes(path / wanted) or _level_names(path / wanted):
        return wanted
    if isinstance(path, Url):
        raise unlisted(path, wanted)
    return resolve_key(str(path), n5_contents(path), wanted)


def _level_names(folder: Folder) -> list[str]:
    """s0, s1, ... as far as they are there."""
    names: list[str] = []
    while len(names) < _DEEPEST and "dimensions" in _attributes(folder / f"s{len(names)}"):
        names.append(f"s{len(names)}")
    return names


def _walk(folder: Folder, key: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Keys and shapes of the arrays and pyramids at a folder and below. Links, which may lead back, are left out."""
    found = _attributes(folder) if "dimensions" in _attributes(folder) else _attributes(folder / "s0")
    if "dimensions" in found:
        yield key, tuple(int(n) for n in reversed(found["dimensions"]))
        return
    children = sorted(folder.iterdir()) if isinstance(folder, Path) else []
    for child in children:
        if child.is_dir() and not child.is_symlink() and key.count("/") < _DEEPEST:
            yield from _walk(child, f"{key}/{child.name}".lstrip("/"))


def _attributes(folder: Folder) -> Attributes:
    return read_json(folder / "attributes.json") if (folder / "attributes.json").is_file() else {}


def _source(path: Folder, key: str) -> str:
    return f"{path}:{key}" if key else str(path)

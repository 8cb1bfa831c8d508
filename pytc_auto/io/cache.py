"""A copy, made once, of a volume that cannot be read by box.

CACHE/NAME-STATE.zarr is a zarr array in chunks of about 64 x 64 x 64 voxels; NAME stands for the volume (file, channel, axis
order), STATE for the files it was made from (size and time of change). CACHE/NAME-STATE.json counts the slabs that are whole.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from pathlib import Path
from typing import Any

from pytc_auto.errors import OutputError
from pytc_auto.files import write_whole
from pytc_auto.geometry import Zyx, blocks
from pytc_auto.io.open import format_of, locate
from pytc_auto.io.volume import Volume, damaged
from pytc_auto.progress import Progress, silent

_EDGE = 64
_SLAB_BYTES = 2**28


def cached(volume: Volume, folder: str | Path, progress: Progress = silent) -> Volume:
    """The volume itself if it can be read by box, else a copy that can.

    The copy is made slab by slab; one that was broken off is gone on with. A copy of files that have changed since is thrown
    away. What lies at a URL counts as unchanged.

    Args:
        volume: To be copied; dtype, voxel size and offset are kept.
        folder: Where copies are; made if it is not there. Two processes must not make the same copy at once.
        progress: Told the voxels that are copied.

    Raises:
        DataError: The volume is damaged.
        OutputError: The copy cannot be written.
    """
    if volume.random_access:
        return volume
    name, state = _digest(_identity(volume)), _digest(_state(volume))
    path, count = Path(folder) / f"{name}-{state}.zarr", Path(folder) / f"{name}-{state}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove([p for p in path.parent.glob(f"{name}-*") if p not in (path, count)])
        _copy(volume, path, count, progress)
    except OSError as error:
        raise OutputError(f"{path.parent}: the copy of {volume.source} cannot be written ({error}). Make room.") from error
    from pytc_auto.io.zarr_arrays import open_zarr

    copy = open_zarr(path)
    copy.voxel_size_nm, copy.offset_nm, copy.levels_nm = volume.voxel_size_nm, volume.offset_nm, volume.levels_nm
    copy.channels, copy.channel, copy.axes_named = volume.channels, volume.channel, volume.axes_named
    return copy


def _copy(volume: Volume, path: Path, count: Path, progress: Progress) -> None:
    """Write the slabs that are not there yet."""
    import zarr

    chunks = _chunks(volume)
    slabs = list(blocks(volume.box, (chunks[0], *volume.shape[1:])))
    done = json.loads(count.read_text())["done"] if count.is_file() and path.is_dir() else 0
    if done == len(slabs):
        return
    if not done:
        _remove([path])
        _create(volume, path, chunks)
    array = zarr.open_array(store=str(path), mode="r+")
    for number, slab in enumerate(slabs):
        progress(f"Copying {Path(volume.source).name}", slab.start[0] * math.prod(slab.shape[1:]), volume.box.size)
        if number >= done:
            array[slab.slices] = volume.read(slab)
            write_whole(count, json.dumps({"source": volume.source, "done": number + 1, "of": len(slabs)}))
    progress(f"Copying {Path(volume.source).name}", volume.box.size, volume.box.size)


def _create(volume: Volume, path: Path, chunks: Zyx) -> None:
    """An empty array, with the place of the volume in space."""
    import zarr
    from zarr.codecs import ZstdCodec

    told = {"voxel_size": volume.voxel_size_nm, "offset": volume.offset_nm, "units": ["nm"] * 3}
    zarr.create_array(
        store=str(path),
        shape=volume.shape,
        chunks=chunks,
        dtype=volume.dtype,
        compressors=ZstdCodec(level=1),
        zarr_format=3,
        dimension_names=["z", "y", "x"],
        attributes={key: value for key, value in told.items() if value},
    )


def _chunks(volume: Volume) -> Zyx:
    """64 on all axes; flatter and wider where 64 sections are too much to hold at once."""
    section_bytes = math.prod(volume.shape[1:]) * volume.dtype.itemsize
    deep = min(_EDGE, max(1, _SLAB_BYTES // section_bytes))
    wide = _EDGE * round(math.sqrt(_EDGE / deep))
    return min(deep, volume.shape[0]), min(wide, volume.shape[1]), min(wide, volume.shape[2])


def _identity(volume: Volume) -> list[Any]:
    """What tells a volume from every other one."""
    return [volume.source, type(volume).__name__, volume.channel, volume.shape, str(volume.dtype)]


def _state(volume: Volume) -> list[Any]:
    """What changes when one of a volume's files does."""
    with damaged(volume.source):
        place, _ = locate(volume.source)
        if not isinstance(place, Path):
            return []
        files = sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
        if format_of(place) == "simpleitk":
            from pytc_auto.io.simpleitk import data_file

            files.append(data_file(place) or place)
        return [[str(p), p.stat().st_size, p.stat().st_mtime_ns] for p in files]


def _digest(told: list[Any]) -> str:
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _remove(paths: list[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

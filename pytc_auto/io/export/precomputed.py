"""Neuroglancer's precomputed format: compressed segmentation with all levels of the pyramid, without meshes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytc_auto.geometry import Box, Zyx, blocks
from pytc_auto.io.export.streams import BLOCK, holding
from pytc_auto.io.open import open_volume
from pytc_auto.io.remote import kvstore, tensorstore
from pytc_auto.io.volume import Volume
from pytc_auto.progress import Progress, silent, walked

DTYPES = ("uint32", "uint64")
"""All that the encoding knows."""

_CHUNK: Zyx = (64, 64, 64)
_ENCODING = {"encoding": "compressed_segmentation", "compressed_segmentation_block_size": [8, 8, 8]}


def write_precomputed(volume: Volume, path: Path, *, progress: Progress = silent) -> None:
    """Write labels as a folder that neuroglancer reads, a scale for each stored level of the volume.

    Args:
        volume: Its voxel size is known. It lies at the whole voxel that is nearest to its offset.
        path: Folder to make.
        progress: Told the voxels that are written of each scale.

    Raises:
        OutputError: There are labels below 0.
        DataError: The volume is damaged.
    """
    dtype = holding(volume, DTYPES, path, progress=progress)
    shared = {"type": "segmentation", "data_type": dtype.name, "num_channels": 1}
    for level in range(max(1, len(volume.levels_nm))):
        scale = volume if level == 0 else open_volume(volume.source, level=level)
        store = _create(path, shared, scale, volume)
        origin = store.domain.origin
        for box in walked(f"writing precomputed, scale {level}", progress, list(blocks(scale.box, BLOCK))):
            store[(*_place(box, origin), 0)].write(scale.read(box).astype(dtype).T).result()


def _create(path: Path, shared: Mapping[str, Any], scale: Volume, finest: Volume) -> Any:
    """An empty scale, (X, Y, Z, 1)."""
    library = tensorstore()
    described = {
        "size": scale.shape[::-1],
        "chunk_size": _CHUNK[::-1],
        "resolution": scale.voxel_size_nm and scale.voxel_size_nm[::-1],
        "voxel_offset": _corner(scale, finest)[::-1],
        **_ENCODING,
    }
    spec = {"driver": "neuroglancer_precomputed", "kvstore": kvstore(path), "multiscale_metadata": shared}
    return library.open({**spec, "scale_metadata": described}, open=False, create=True).result()


def _corner(scale: Volume, finest: Volume) -> Zyx:
    """The voxel of a level at which the volume begins. Offsets are of centers: half of what a voxel is longer lies before it."""
    if finest.offset_nm is None:
        return 0, 0, 0
    assert scale.voxel_size_nm is not None
    z, y, x = (round(start / size) for start, size in zip(finest.offset_nm, scale.voxel_size_nm, strict=True))
    return z, y, x


def _place(box: Box, origin: tuple[int, ...]) -> list[slice]:
    """Index of a box, x first, for an array that begins at ``origin``."""
    return [slice(s.start + o, s.stop + o) for s, o in zip(reversed(box.slices), origin, strict=False)]

"""What is kept of the regions of a volume's blocks: ids on the disk, numbered within each block, and how many there are.

FOLDER/ids          uint32 array (Z, Y, X): the regions of each block from 1 on
FOLDER/kept         bool array (Z, Y, X): where the segmentation is not 0
FOLDER/blocks/*     sizes and values of the regions of each block, and the borders between them
FOLDER/numbers.npz  of all blocks: how many regions come before each, sizes and values
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.decoding.kind import Bool, Regions, kept_ids
from pytc_auto.decoding.regions import Index, region_sizes
from pytc_auto.files import whole
from pytc_auto.geometry import AXES, Box, Zyx, blocks, zyx

CHUNK: Zyx = (64, 64, 64)
LAYOUT = 3
"""Files of another layout are made anew."""


@dataclass(frozen=True)
class RegionFiles:
    """Regions of a volume in its blocks; in the whole volume, region i of a block has the number of those before it more.

    Attributes:
        folder: Where the files are.
        shape: Of the volume.
        block: Extent of a block, in whole chunks.
    """

    folder: Path
    shape: Zyx
    block: Zyx

    @property
    def boxes(self) -> list[Box]:
        """The blocks."""
        return list(blocks(Box.of_shape(self.shape), self.block))

    def create(self) -> None:
        """Make the arrays, where they are not there."""
        import zarr

        for name, dtype, fill in (("ids", "uint32", 0), ("kept", "bool", True)):
            if not (self.folder / name / "zarr.json").is_file():
                zarr.create_array(
                    str(self.folder / name),
                    shape=self.shape,
                    chunks=tuple(max(1, min(c, n)) for c, n in zip(CHUNK, self.shape, strict=True)),
                    dtype=dtype,
                    fill_value=fill,
                    compressors=zarr.codecs.ZstdCodec(level=1),
                )

    def write(self, box: Box, regions: Regions | None, borders: Mapping[str, npt.NDArray[Any]]) -> None:
        """Store a block, with the borders between its regions; None: it has no region."""
        if regions is None:
            save(self._of(box), {"sizes": np.zeros(1, np.int64), "values": np.zeros(1, np.int64), **borders})
            return
        self._array("ids", "r+")[box.slices] = regions.ids_zyx
        if regions.kept_zyx is not None:
            self._array("kept", "r+")[box.slices] = regions.kept_zyx
        sizes = region_sizes(kept_ids(regions), len(regions.values) - 1)
        beyond = {f"beyond_{axis}": ids for axis, ids in zip(AXES, regions.beyond, strict=False)}
        save(self._of(box), {"sizes": sizes, "values": regions.values, **beyond, **borders})

    def number(self) -> None:
        """Note how many regions come before each block, once all are stored."""
        found = [load(self._of(box), "sizes", "values") for box in self.boxes]
        counts = [len(each["values"]) - 1 for each in found]
        numbers = {name: np.concatenate([[0], *(each[name][1:] for each in found)]) for name in ("sizes", "values")}
        save(self.folder / "numbers.npz", {**numbers, "before": np.cumsum([0, *counts])})

    def borders(self, names: Sequence[str]) -> Iterator[dict[str, npt.NDArray[Any]]]:
        """The borders within each block, those arrays that end in ``pairs`` in numbers of the whole volume."""
        for box, before in zip(self.boxes, self.before.tolist(), strict=False):
            found = load(self._of(box), *names)
            yield {name: array + before if name.endswith("pairs") else array for name, array in found.items()}

    @cached_property
    def before(self) -> Index:
        """(blocks + 1,) how many regions come before each block."""
        return load(self.folder / "numbers.npz", "before")["before"]

    @property
    def sizes(self) -> Index:
        """(N + 1,) voxels that are kept of each region."""
        return load(self.folder / "numbers.npz", "sizes")["sizes"]

    @property
    def values(self) -> Index:
        """(N + 1,) what the decoder wants to know of each region."""
        return load(self.folder / "numbers.npz", "values")["values"]

    def blocks_of(self, regions: Index) -> Index:
        """The number of the block of each region."""
        return np.searchsorted(self.before, regions, side="left") - 1

    def read(self, box: Box) -> Index:
        """Numbers of the whole volume, (Z, Y, X) of a box; 0 is background."""
        found = np.zeros(box.shape, np.int64)
        ids, grid = self._array("ids"), [-(-n // b) for n, b in zip(self.shape, self.block, strict=True)]
        first = [a // b for a, b in zip(box.start, self.block, strict=True)]
        last = [-(-a // b) for a, b in zip(box.stop, self.block, strict=True)]
        for place in itertools.product(*(range(a, b) for a, b in zip(first, last, strict=True))):
            part = Box.of_shape(self.block, [i * b for i, b in zip(place, self.block, strict=True)]).intersect(box)
            here = ids[part.slices].astype(np.int64)
            here[here > 0] += self.before[np.ravel_multi_index(place, grid)]
            found[part.relative_to(box.start).slices] = here
        return found

    def read_beyond(self, box: Box, axis: int) -> tuple[Box, Index] | None:
        """What the block before this one on an axis has in this one: where, and its own numbers in the whole volume there.

        None: there is no block before it, or the decoder compares nothing.
        """
        if not box.start[axis]:
            return None
        step = [-self.block[axis] if i == axis else 0 for i in range(3)]
        before = Box.of_shape(self.block, box.shift(step).start).intersect(Box.of_shape(self.shape))
        found = load(self._of(before))
        if f"beyond_{AXES[axis]}" not in found:
            return None
        here = Box.of_shape(found[f"beyond_{AXES[axis]}"].shape, box.start).intersect(box)
        ids = found[f"beyond_{AXES[axis]}"][here.relative_to(box.start).slices].astype(np.int64)
        place = [a // b for a, b in zip(before.start, self.block, strict=True)]
        grid = [-(-n // b) for n, b in zip(self.shape, self.block, strict=True)]
        ids[ids > 0] += self.before[np.ravel_multi_index(place, grid)]
        return here, ids

    def read_kept(self, box: Box) -> Bool:
        """What is kept, (Z, Y, X) of a box."""
        kept: Bool = self._array("kept")[box.slices]
        return kept

    def _array(self, name: str, mode: str = "r") -> Any:
        import zarr

        return zarr.open_array(str(self.folder / name), mode=mode)

    def _of(self, box: Box) -> Path:
        return self.folder / "blocks" / f"{file_name(box)}.npz"


def file_name(box: Box) -> str:
    """A block as the name of a file.

    >>> file_name(Box((0, 64, 0), (64, 128, 50)))
    '0_64_0'
    """
    return "_".join(map(str, zyx(box.start)))


def save(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays into one file, whole or not at all."""
    with whole(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load(path: Path, *names: str) -> dict[str, npt.NDArray[Any]]:
    """Arrays of a file, all or those that are named."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in names or file.files}


def joined(found: Iterable[Mapping[str, npt.NDArray[Any]]]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of several files, one after the other."""
    every = list(found)
    return {name: np.concatenate([each[name] for each in every]) for name in every[0]}

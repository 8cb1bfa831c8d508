"""Time and memory of pytc evaluate, on a pair of volumes that are computed block by block and never held.

    python benchmarks/evaluate.py 1024 [--ids 100000] [--dry]

The truth is a cube of cells whose borders are background and bend from section to section. In the segmentation borders are
moved, some cells are merged with a neighbor, some are cut in two. Each extent is measured in a process of its own: memory is its
largest resident size, imports included; making the voxels is timed, too, and is part of the whole. Rows are appended to
results.md beside this file, with --dry only printed. Linux only.
"""

from __future__ import annotations

import argparse
import datetime
import json
import resource
import subprocess
import sys
import time

import numpy as np
import numpy.typing as npt
from results import append, commit, machine

from pytc_auto.evaluation.compare import compare
from pytc_auto.evaluation.region import common_region
from pytc_auto.geometry import Box
from pytc_auto.io.volume import Volume

SECTION = "## Scores\n\n"
HEADER = (
    "| cube | segments | true ids | wall, s | making, s | Mvoxel/s | memory, MB | voi | ap_50 | date | commit | machine |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|\n"
)
Map = npt.NDArray[np.uint32]


class Cells(Volume):
    """Copies of one map of cells, each section moved along it; a new layer of ids begins every few sections."""

    def __init__(self, map_yx: Map, extent: int, layer: int, dtype: str) -> None:
        self.source, self.dtype, self.voxel_size_nm = "cells", np.dtype(dtype), None
        self.shape = (extent, extent, extent)
        self.map_yx, self.layer = map_yx.astype(dtype), layer
        self.ids = int(map_yx.max())
        self.seconds = 0.0

    def _read(self, box: Box) -> npt.NDArray[np.unsignedinteger]:
        started = time.perf_counter()
        made = np.empty(box.shape, self.dtype)
        _, y, x = box.slices
        for section, z in zip(made, range(box.start[0], box.stop[0]), strict=True):
            dy, dx = round(8 + 8 * np.sin(z / 37)), round(8 + 8 * np.cos(z / 23))
            here = self.map_yx[y.start + dy : y.stop + dy, x.start + dx : x.stop + dx]
            np.add(here, self.dtype.type(z // self.layer * self.ids), out=section, where=here > 0)
            section[here == 0] = 0
        self.seconds += time.perf_counter() - started
        return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("extents", type=int, nargs="+")
    parser.add_argument("--ids", type=int, default=100_000)
    parser.add_argument("--dry", action="store_true", help="append nothing")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(arguments.extents[0], arguments.ids)))
        return
    for extent in arguments.extents:
        command = [sys.executable, __file__, str(extent), "--ids", str(arguments.ids), "--child"]
        found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        cells = [f"{extent}³", found["segments"], found["truths"], f"{found['wall']:.1f}", f"{found['making']:.1f}"]
        cells += [
            f"{extent**3 / 1e6 / found['wall']:.0f}",
            f"{found['megabytes']:.0f}",
            f"{found['voi']:.3f}",
            f"{found['ap_50']:.3f}",
        ]
        row = f"| {' | '.join(map(str, [*cells, datetime.date.today(), commit(), machine()]))} |\n"
        if arguments.dry:
            print(HEADER + row, end="")
        else:
            append(row, section=SECTION, header=HEADER)


def measure(extent: int, ids: int) -> dict[str, float]:
    """One comparison, in this process."""
    side = round(ids ** (1 / 3))
    layer = -(-extent // side)
    truth = Cells(cell_map(extent + 16, layer, shift=0), extent, layer, "u8")
    found = Cells(wrong_map(cell_map(extent + 16, layer, shift=1)), extent, layer, "u4")
    started = time.perf_counter()
    compared = compare(common_region(found, truth), kind="instances")
    wall = time.perf_counter() - started
    layers = -(-extent // layer)
    return {
        "wall": wall,
        "making": truth.seconds + found.seconds,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "segments": layers * (len(np.unique(found.map_yx)) - 1),
        "truths": layers * (len(np.unique(truth.map_yx)) - 1),
        **compared.scores,
    }


def cell_map(extent: int, cell: int, *, shift: int) -> Map:
    """Cells with bent borders that are background, one voxel wide; ``shift`` moves the borders, not the ids."""
    y, x = np.mgrid[:extent, :extent] + shift
    columns = extent // cell + 2
    rows_at, row = np.divmod(y + np.round(3 * np.sin(x / 11)).astype(int) + 3, cell)
    columns_at, column = np.divmod(x + np.round(3 * np.sin(y / 13)).astype(int) + 3, cell)
    return np.where((row > 0) & (column > 0), rows_at * columns + columns_at + 1, 0).astype(np.uint32)


def wrong_map(map_yx: Map) -> Map:
    """Every seventh id is merged with the one before; every ninth is cut into two, by turns of eight rows."""
    most = map_yx.max()
    merged = np.where(map_yx % 7 == 1, np.maximum(map_yx, 2) - 1, map_yx)
    upper = (np.arange(len(map_yx)) // 8 % 2 == 0)[:, None]
    return np.where((merged % 9 == 4) & upper, merged + most, merged).astype(np.uint32)


if __name__ == "__main__":
    main()

"""Rate of each decoder beside the bare library calls, memory, and how much the result depends on the blocks.

    python benchmarks/decode.py rates LABELS [--prediction OUT] [--shape 96,192,192] [--dry]
    python benchmarks/decode.py blocks LABELS [--sides 64,96] ...
    python benchmarks/decode.py memory LABELS --kind components [--extents 256,512] [--block 256] ...
    python benchmarks/decode.py workers LABELS [--extents 256x256x384] [--block 128] ...

LABELS are instances, such as fib25's; affinities are made from them with noise that is correlated in space, or are the kept
predictions of an output of pytc predict. Times are of one core, CPU time, the best of three; "library" is what skimage, waterz,
mwatershed and cc3d take for the same arrays when they are called directly; of cc3d there is a second row, with the graph in
the order of axes that it works in. An extent is a cube's or ZxYxX. Each extent of ``memory`` is a process of its own; its volume
is the same block over and over, written before. ``workers`` compares the wall time of two processes with that of one, the start
of the processes and the agglomeration included; other work on the machine falsifies it. Rows are appended to results.md beside
this file, with --dry only printed. Linux only.
"""

from __future__ import annotations

import argparse
import datetime
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from results import append, commit, machine
from scipy import ndimage

from pytc_auto.decoding.block_files import save
from pytc_auto.decoding.blockwise import Decoding, PaintTask, Run, make_graph, segments
from pytc_auto.decoding.decode import KINDS, complete, decode
from pytc_auto.decoding.kind import near_affinities, of_head
from pytc_auto.decoding.mutex import STRIDE
from pytc_auto.decoding.watershed import SEED_SIGMA, fragments_from_affinities, interior, neighbors
from pytc_auto.evaluation.scores import score
from pytc_auto.executors.executor import Executor
from pytc_auto.executors.ledger import BlockLedger
from pytc_auto.geometry import Box, Zyx, blocks, zyx
from pytc_auto.io.ome_zarr import create_image, create_labels, open_level
from pytc_auto.io.open import open_segmentation
from pytc_auto.io.predictions import to_uint8
from pytc_auto.io.working_grid import WorkingGrid
from pytc_auto.schema.model import DecoderChoice
from pytc_auto.schema.plan import Plan
from pytc_auto.targets.affinities import affinities_from_labels
from pytc_auto.targets.erosion import erode_borders

Array = npt.NDArray[Any]
PLAN = Path(__file__).resolve().parents[1] / "plans" / "fib25.yaml"
ENDS = "date | commit | machine |\n"
RATES = "| decoder | volume | ours, Mvoxel/s | library, Mvoxel/s | ours / library, time | "
BLOCKS = "| decoder | volume | blocks | voi to one block | voi to truth | of one block | "
MEMORY = "| decoder | volume | blocks | CPU, s | Mvoxel/s | memory, MB | "
WORKERS = "| decoder | volume | one, s | two, s | one / two | "
TRIES = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["rates", "blocks", "memory", "workers"])
    parser.add_argument("labels")
    parser.add_argument("--prediction", type=Path, help="output of pytc predict --keep-predictions of the same volume")
    parser.add_argument("--plan", type=Path, default=PLAN)
    parser.add_argument("--shape", default="96,192,192")
    parser.add_argument("--kind", default="agglomerate")
    parser.add_argument("--sides", default="64,96")
    parser.add_argument("--extents", default="256,512")
    parser.add_argument("--block", type=int, help="edge of the blocks; that of the decoder, for workers 128, if it is absent")
    parser.add_argument("--dry", action="store_true", help="append nothing")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    plan = Plan.load(given.plan)
    if given.what == "memory":
        _memory(given, plan)
        return
    if given.what == "workers":
        _workers(given, plan)
        return
    labels, stored = _data(given, plan)
    volume = "x".join(map(str, labels.shape)) + (" predicted" if given.prediction else " made")
    if given.what == "rates":
        _rates(given, plan, stored, volume)
    else:
        _blocks(given, plan, (labels, stored), volume)


def _row(given: argparse.Namespace, title: str, header: str, cells: Sequence[object]) -> None:
    row = f"| {' | '.join(map(str, [*cells, datetime.date.today(), commit(), machine()]))} |\n"
    header = header + ENDS + "|---" * (header.count("|") + 2) + "|\n"
    if given.dry:
        print(header + row, end="")
    else:
        append(row, section=f"## {title}\n\n", header=header)


def _data(given: argparse.Namespace, plan: Plan) -> tuple[Array, Array]:
    """Labels and stored predictions."""
    volume = open_segmentation(given.labels)
    box = Box.of_shape([min(a, b) for a, b in zip(map(int, given.shape.split(",")), volume.shape, strict=True)])
    labels = volume.read(box)
    if given.prediction:
        return labels, open_level(given.prediction)[(slice(None), *box.slices)]
    eroded = erode_borders(labels, plan.working_voxel_size_nm, plan.labels.erode_nm)
    affinities = affinities_from_labels(eroded, plan.offsets)
    rng = np.random.default_rng(0)
    common = _noise(rng, labels.shape)
    logits = np.stack([8.0 * a - 4 + 2.1 * (common + _noise(rng, labels.shape)) for a in affinities])
    return labels, to_uint8(logits.astype(np.float32), plan.heads)


def _noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    noise = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 2)
    return noise / noise.std()


def _seconds(call: Callable[[], object]) -> float:
    """CPU time of the best try."""
    best = np.inf
    for _ in range(TRIES):
        started = time.process_time()
        call()
        best = min(best, time.process_time() - started)
    return float(best)


def _rates(given: argparse.Namespace, plan: Plan, stored: Array, volume: str) -> None:
    libraries = {
        "components": {"components": _cc3d, "components, x first": partial(_cc3d, x_first=True)},
        "agglomerate": {"agglomerate": _waterz},
        "mutex": {"mutex": _mwatershed},
    }
    for kind, calls in libraries.items():
        choice = DecoderChoice(kind=kind, parameters={})  # type: ignore[arg-type]
        ours, rate = _seconds(lambda choice=choice: decode(stored, plan, choice)), stored[0].size / 1e6
        for name, library in calls.items():
            bare = library(stored, plan)
            _row(
                given, "Decoding: rates", RATES, [name, volume, f"{rate / ours:.2f}", f"{rate / bare:.2f}", f"{ours / bare:.2f}"]
            )


def _cc3d(stored: Array, plan: Plan, *, x_first: bool = False) -> float:
    """Color the graph of voxels that are linked, which is ready."""
    import cc3d

    graph = np.zeros(stored.shape[1:], np.uint8)
    for axis, bit in enumerate((16, 4, 1) if x_first else (1, 4, 16)):
        link = np.moveaxis(near_affinities(stored, plan, "components").affinities_kzyx[axis] > 0.5, axis, 0)[1:].astype(np.uint8)
        moved = np.moveaxis(graph, axis, 0)
        moved[:-1] |= link * np.uint8(bit)
        moved[1:] |= link * np.uint8(2 * bit)
    ready = graph.T if x_first else graph
    return _seconds(lambda: cc3d.color_connectivity_graph(ready, connectivity=6))


def _waterz(stored: Array, plan: Plan) -> float:
    """Distance, maxima, flooding, and agglomeration of the fragments to one threshold, from affinities that are ready."""
    import edt
    import waterz
    from skimage.segmentation import watershed

    near = near_affinities(stored, plan, "agglomerate")
    inside = interior(near.affinities_kzyx, near.inner_axes)
    across = neighbors(near.inner_axes, 1)

    def flood() -> None:
        distance = edt.edt(inside > 0.5, anisotropy=plan.working_voxel_size_nm, black_border=False)
        smooth = ndimage.gaussian_filter(inside + np.float32(0.05) * distance, SEED_SIGMA)
        seeds, _ = ndimage.label(smooth == ndimage.maximum_filter(smooth, 3))
        watershed(-inside, seeds, connectivity=across)

    flooding = _seconds(flood)
    fragments = fragments_from_affinities(near.affinities_kzyx, plan.working_voxel_size_nm, near.inner_axes).ids_zyx

    def agglomerate() -> None:
        with redirect_stdout(io.StringIO()):
            next(waterz.agglomerate(near.affinities_kzyx, [0.5], fragments=fragments.astype(np.uint64)))

    return flooding + _seconds(agglomerate)


def _mwatershed(stored: Array, plan: Plan) -> float:
    """Cluster with the strides that we use, from weights that are ready."""
    import mwatershed

    weights = of_head(stored, plan, "affinities", "mutex").astype(np.float64) - 0.5
    far = [sum(map(abs, offset)) > 1 for offset in plan.offsets]
    for channel, repels in enumerate(far):
        weights[channel] = np.minimum(weights[channel], 0) if repels else np.maximum(weights[channel], 0)
    strides = [[STRIDE] * 3 if f else [1, 1, 1] for f in far]
    return _seconds(lambda: mwatershed.agglom(weights, [list(o) for o in plan.offsets], strides=strides))


def _blocks(given: argparse.Namespace, plan: Plan, data: tuple[Array, Array], volume: str) -> None:
    labels, stored = data
    choice = DecoderChoice(kind=given.kind, parameters=dict.fromkeys(["threshold"], 0.7) if given.kind == "agglomerate" else {})
    whole = decode(stored, plan, choice)
    before = score(whole, labels, kind="instances")["voi"]
    for side in map(int, given.sides.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            _write(Path(folder), stored, stored.shape[1:])
            found = _decode(Path(folder), plan, choice, zyx(stored.shape[1:]), (side, side, side))[:]
        away, truth = (score(found, other, kind="instances")["voi"] for other in (whole, labels))
        cells = [given.kind, volume, f"{side}³", f"{away:.4f}", f"{truth:.3f}", f"{before:.3f}"]
        _row(given, "Decoding: the same for any blocks", BLOCKS, cells)


def _write(folder: Path, stored: Array, shape: Sequence[int]) -> None:
    """A prediction on the disk, the same voxels over and over."""
    size = (10.0, 10.0, 10.0)
    image = create_image(
        folder / "out", shape_czyx=(len(stored), *shape), chunks=(1, 64, 64, 64), dtype="uint8", voxel_size_nm=size, attributes={}
    )
    for box in blocks(Box.of_shape(shape), zyx(stored.shape[1:])):
        image[(slice(None), *box.slices)] = stored[(slice(None), *Box.of_shape(box.shape).slices)]


def _here(task: Any, boxes: Sequence[Box], _: str) -> None:
    for box in boxes:
        task(box)


def _decode(  # noqa: PLR0917
    folder: Path, plan: Plan, choice: DecoderChoice, shape: tuple[int, int, int], block: Any = None, run: Run = _here
) -> Any:
    """Labels of a prediction on the disk, as ``pytc predict`` makes them."""
    decoding = Decoding(folder / "out", folder / "state", plan, complete(choice), shape, block)
    make_graph(decoding, run)
    lookup = segments(decoding)
    save(folder / "lookup.npz", {"lookup": lookup})
    size = (10.0, 10.0, 10.0)
    chunks = (64, 64, 64)
    labels = create_labels(
        folder / "out", "found", shape=shape, chunks=chunks, dtype=lookup.dtype, voxel_size_nm=size, attributes={}
    )
    target, start = folder / "out" / "labels" / "found", (0, 0, 0)
    paint = PaintTask(decoding.regions, folder / "lookup.npz", target, start, start, WorkingGrid.of(plan, shape))
    run(paint, list(blocks(Box.of_shape(shape), (192, 192, 192))), "labels")
    return labels


def _extents(given: argparse.Namespace) -> list[Zyx]:
    """Of cubes, or as they are given."""
    sides = [list(map(int, extent.split("x"))) for extent in given.extents.split(",")]
    return [zyx(side * 3 if len(side) == 1 else side) for side in sides]


def _name(extent: Zyx) -> str:
    return f"{extent[0]}³" if len(set(extent)) == 1 else "x".join(map(str, extent))


def _memory(given: argparse.Namespace, plan: Plan) -> None:
    choice = complete(DecoderChoice(kind=given.kind, parameters={}))
    block = zyx([given.block] * 3) if given.block else KINDS[given.kind].block
    if given.child:
        started = time.process_time()
        _decode(Path(given.labels), plan, choice, _extents(given)[0], block)
        seconds = time.process_time() - started
        print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
        return
    _, stored = _data(given, plan)
    for extent in _extents(given):
        with tempfile.TemporaryDirectory() as folder:
            _write(Path(folder), stored, extent)
            command = [sys.executable, __file__, "memory", folder, "--kind", given.kind, "--plan", str(given.plan)]
            command += ["--extents", "x".join(map(str, extent)), "--block", str(block[0]), "--child"]
            told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        seconds, megabytes = json.loads(told)
        rate = Box.of_shape(extent).size / 1e6 / seconds
        cells = [given.kind, _name(extent), "x".join(map(str, block)), f"{seconds:.1f}", f"{rate:.2f}", f"{megabytes:.0f}"]
        _row(given, "Decoding: memory", MEMORY, cells)


def _workers(given: argparse.Namespace, plan: Plan) -> None:
    choice, (_, stored), side = DecoderChoice(kind=given.kind, parameters={}), _data(given, plan), given.block or 128
    for extent in _extents(given):
        walls = [
            _wall(plan, choice, stored, extent, side, environments) for environments in ((), ({"OMP_NUM_THREADS": "1"},) * 2)
        ]
        one, two = (wall["all"] for wall in walls)
        _row(given, "Decoding: workers", WORKERS, [given.kind, _name(extent), f"{one:.1f}", f"{two:.1f}", f"{one / two:.2f}"])
        for stage in walls[0]:
            print(f"{stage}: {walls[0][stage]:.1f} s, two {walls[1][stage]:.1f} s")


def _wall(  # noqa: PLR0917
    plan: Plan, choice: DecoderChoice, stored: Array, extent: Zyx, side: int, environments: Any
) -> dict[str, float]:
    """Seconds of each stage, and of all; what is not in a stage is one process's work."""
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), stored, extent)
        started = time.perf_counter()
        with Executor(environments).staying() as executor:

            def run(task: Any, boxes: Sequence[Box], stage: str) -> None:
                begun = time.perf_counter()
                executor.run(task, boxes, BlockLedger(Path(folder) / "done" / stage.replace(" ", "_"), "benchmark"))
                seconds[stage] = time.perf_counter() - begun

            _decode(Path(folder), plan, choice, extent, (side,) * 3, run)
        seconds["all"] = time.perf_counter() - started
    return seconds


if __name__ == "__main__":
    main()

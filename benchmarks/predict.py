"""Time and memory of prediction, beside the bare network and MONAI's sliding window.

    python benchmarks/predict.py time data/fib25/train/images/VOLUME.h5 [--patch 64,64,64] [--window 1] [--rounds 1] [--dry]
    python benchmarks/predict.py memory 512,512,512 2048,1024,1024 [--overlap 0.25] [--dry]

``time``: the network is untrained, which changes no time. Ours reads the volume, predicts its blocks and writes OME-Zarr; the
others have the volume in memory, as a tensor, and keep what they give there. Every way runs in turn, in this process, as often as
there are rounds; medians are told, of the wall clock and of the CPU, which other work beside it disturbs less. MONAI's defaults
are an overlap of 0.25 and fp32; it runs with the overlap of ours, too, and so on as many patches.

``memory``: a network of one layer over a volume that is computed, not read. Each extent is a process of its own: memory is its
largest resident size, imports included. Rows are appended to results.md beside this file, with --dry only printed. Linux only.
"""

from __future__ import annotations

import argparse
import datetime
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from results import HERE, append, commit, machine

from pytc_auto.executors.executor import Executor
from pytc_auto.executors.ledger import BlockLedger
from pytc_auto.geometry import Box, Zyx, blocks, whole_chunks, zyx
from pytc_auto.inference.blocks import BlockPrediction
from pytc_auto.inference.window import Predictor, patches_meeting
from pytc_auto.inference.window_size import window_plan
from pytc_auto.io.ome_zarr import CHUNK, create_image
from pytc_auto.io.volume import Volume
from pytc_auto.models.precision import autocast
from pytc_auto.planning.by_hand import read_overrides
from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.planner import make_plan
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.plan import Inference, Plan

TIMES = "## Prediction: time\n\n"
TIMES_HEADER = (
    "| volume | patch | who | patches | wall, s | CPU, s | ms per patch | wall over bare | CPU over bare | date | commit "
    "| machine |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|\n"
)
MEMORY = "## Prediction: memory\n\n"
MEMORY_HEADER = (
    "| volume | block | wall, s | Mvoxel/s | memory, MB | date | commit | machine |\n|---|---|---|---|---|---|---|---|\n"
)
BLOCK_PATCHES = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["time", "memory"])
    parser.add_argument("volumes", nargs="+")
    parser.add_argument("--patch", default="64,64,64")
    parser.add_argument("--window", type=int, default=1)
    parser.add_argument("--overlap", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--dry", action="store_true", help="append nothing")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    plan = unet_plan(arguments)
    if arguments.child:
        print(json.dumps(memory(plan, zyx([int(n) for n in arguments.volumes[0].split(",")]))))
    elif arguments.what == "time":
        for path in arguments.volumes:
            tell_times(path, plan, arguments)
    else:
        for extent in arguments.volumes:
            tell_memory(extent, plan, arguments)


def unet_plan(arguments: argparse.Namespace) -> Plan:
    """fib25's plan for a CPU and half an hour, with a ``unet``."""
    slow = PRESETS["M"].replace(device="cpu", seconds=1800.0, seconds_per_step=0.45, precision="bf16", source="measured")
    given = [f"patch=[{arguments.patch}]", "network.kind=unet", f"inference.window={arguments.window}"]
    facts = Fingerprint.load(HERE.parent / "fingerprints" / "fib25.json")
    plan = make_plan(facts, slow, by_hand=read_overrides([*given, f"inference.overlap={arguments.overlap}"]))
    return plan.replace(inference=plan.inference.replace(symmetries=1))


def tell_times(path: str, plan: Plan, arguments: argparse.Namespace) -> None:
    from pytc_auto.io.open import open_volume
    from pytc_auto.models.build import build_network

    volume, network = open_volume(path), build_network(plan).eval()
    whole = zyx([-(-n // c) * c for n, c in zip(volume.shape, CHUNK, strict=True)])
    window = window_plan(plan, volume.shape).patch
    ways = {
        "bare forward passes": lambda: bare(network, plan, volume),
        "pytc_auto, one block": lambda: ours(network, plan, volume, whole),
        f"pytc_auto, blocks of {BLOCK_PATCHES} patches": lambda: ours(
            network, plan, volume, zyx([BLOCK_PATCHES * n for n in plan.patch])
        ),
        "MONAI, its defaults": lambda: monai(network, plan, volume, window, 0.25),
        "MONAI, our overlap": lambda: monai(network, plan, volume, window, arguments.overlap),
    }
    found: dict[str, list[tuple[int, float, float]]] = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            found[name].append(timed(way))
    base = None
    once = len(patches_meeting(volume.shape, window_plan(plan, volume.shape), volume.box))
    for name, rounds in found.items():
        patches, (wall, cpu) = rounds[0][0], (statistics.median(r[i] for r in rounds) for i in (1, 2))
        base = base or (wall / patches, cpu / patches)
        more = f" ({patches - once} again)" if name.startswith("pytc") and patches > once else ""
        row = [
            "×".join(map(str, volume.shape)),
            "×".join(map(str, window)),
            name,
            f"{patches}{more}",
            f"{wall:.1f}",
            f"{cpu:.1f}",
        ]
        row += [f"{1000 * wall / patches:.0f}", f"{wall / once / base[0]:.2f}", f"{cpu / once / base[1]:.2f}"]
        tell(row, TIMES, TIMES_HEADER, arguments, Predictor([network], plan).precision)


def timed(way: Callable[[], int]) -> tuple[int, float, float]:
    """Patches, and seconds of the clock and of the CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    patches = way()
    return patches, time.perf_counter() - wall, time.process_time() - cpu


def bare(network: Any, plan: Plan, volume: Volume) -> int:
    """As many forward passes as the volume has patches, in our precision and layout."""
    predictor = Predictor([network], plan)
    patches = patches_meeting(volume.shape, window_plan(plan, volume.shape), volume.box)
    predictor.read(volume, patches[0].intersect(volume.box))
    patch = torch.randn(1, 1, *predictor.plan.patch)
    with torch.inference_mode(), autocast(predictor.precision, "cpu"):
        for _ in patches:
            predictor._forward(patch)
    return len(patches)


def ours(network: Any, plan: Plan, volume: Volume, block: Zyx) -> int:
    """From the volume on disk to predictions on disk; the number of patches that are computed."""
    predictor = Predictor([network], plan)
    with tempfile.TemporaryDirectory() as folder:
        predict(predictor, plan, volume, block, Path(folder))
    boxes = blocks(volume.box, whole_chunks(block, CHUNK))
    return sum(len(patches_meeting(volume.shape, predictor.plan, box)) for box in boxes)


def predict(predictor: Predictor, plan: Plan, volume: Volume, block: Zyx, folder: Path) -> None:
    """All blocks, in this process."""
    chunk = zyx([min(c, n) for c, n in zip(CHUNK, block, strict=True)])
    shape = (plan.channels, *volume.shape)
    size = volume.voxel_size_nm or plan.voxel_size_nm
    array = create_image(folder / "out", shape_czyx=shape, chunks=(1, *chunk), dtype="uint8", voxel_size_nm=size, attributes={})
    task = BlockPrediction(lambda: [predictor], lambda: array, volume, volume.box)
    boxes = list(blocks(volume.box, whole_chunks(block, chunk)))
    Executor().run(task, boxes, BlockLedger(folder / "blocks", "a"))


def monai(network: Any, plan: Plan, volume: Volume, window: Zyx, overlap: float) -> int:
    """MONAI's sliding window over the volume in memory, fp32."""
    from monai.inferers import sliding_window_inference

    calls = 0

    def counted(patch: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return network(patch)

    subtract, divide = plan.intensity.scale
    image = torch.from_numpy((np.clip(volume.read(volume.box), *plan.intensity.clip) - subtract) / divide).float()
    with torch.inference_mode():
        sliding_window_inference(image[None, None], window, 1, counted, overlap=overlap)
    return calls


class Ramps(Volume):
    """Gray values that are computed from their place, and never held."""

    def __init__(self, shape: Zyx) -> None:
        self.source, self.dtype, self.voxel_size_nm, self.shape = "ramps", np.dtype(np.uint8), (10.0, 10.0, 10.0), shape

    def _read(self, box: Box) -> npt.NDArray[np.uint8]:
        z, y, x = ((f * np.arange(a, b)).astype(np.uint8) for f, a, b in zip((7, 13, 31), box.start, box.stop, strict=True))
        return z[:, None, None] + y[:, None] + x


def tell_memory(extent: str, plan: Plan, arguments: argparse.Namespace) -> None:
    command = [sys.executable, __file__, "memory", extent, "--child", "--patch", arguments.patch]
    command += ["--window", str(arguments.window), "--overlap", str(arguments.overlap)]
    found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    row = [extent.replace(",", "×"), "×".join(map(str, plan.inference.block)), f"{found['wall']:.0f}"]
    row += [f"{found['voxels'] / found['wall'] / 1e6:.1f}", f"{found['megabytes']:.0f}"]
    tell(row, MEMORY, MEMORY_HEADER, arguments, f"overlap {arguments.overlap}")


def memory(plan: Plan, shape: Zyx) -> dict[str, float]:
    """One prediction, in this process."""
    assert isinstance(plan.inference, Inference)
    layer = torch.nn.Conv3d(1, plan.channels, 3, padding=1)
    torch.nn.init.zeros_(layer.weight)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        predict(Predictor([layer], plan), plan, Ramps(shape), zyx(plan.inference.block), Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"wall": time.perf_counter() - started, "megabytes": peak, "voxels": float(np.prod(shape))}


def tell(row: Sequence[object], section: str, header: str, arguments: argparse.Namespace, note: str) -> None:
    where = f"{machine()}, {torch.get_num_threads()} threads, {note}"
    line = f"| {' | '.join(map(str, [*row, datetime.date.today(), commit(), where]))} |\n"
    if arguments.dry:
        print(header + line, end="")
    else:
        append(line, section=section, header=header)


if __name__ == "__main__":
    main()

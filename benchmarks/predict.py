"""Time and memory of prediction, beside the bare network and MONAI's sliding window.

    python benchmarks/predict.py time data/fib25/train/images/NAME.h5 [--crop 96,160,160] [--patch 64,64,64] [--rounds 3] [--dry]
    python benchmarks/predict.py memory 512,512,512 2048,1024,1024 [--overlap 0.25] [--dry]

``time``: the network is untrained, which changes no time. The volume's first voxels are copied into a file of their own. Ways
run in turn, as often as there are rounds; medians are told, of the wall clock and of the CPU, which other work disturbs less.

- bare forward passes: as many as there are patches, on one patch in memory, in the layout and precision that we predict in
- pytc_auto, one block: in this process, from the file to predictions in OME-Zarr with all its bookkeeping
- pytc predict, one block: a process of its own; its start with all imports, and the decoding with its pyramids, are told apart
- MONAI: its sliding window over the volume in memory, fp32, the network as torch's own convolutions compute it, with our
  overlap and with its default of 0.25. What it gives is kept in memory

``memory``: a network of one layer over a volume that is computed, not read. Each extent is a process of its own: memory is its
largest resident size, imports included. Rows are appended to results.md beside this file, with --dry only printed. Linux only.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from pytc_auto.models.convolution import with_own_convolutions
from pytc_auto.models.precision import autocast
from pytc_auto.planning.by_hand import read_overrides
from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.planner import make_plan
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.plan import Inference, Plan

TIMES = "## Prediction: time\n\n"
TIMES_HEADER = (
    "| volume | patch | who | patches | wall, s | CPU, s | ms per patch | wall over bare | CPU over bare | beside it "
    "| date | commit | machine |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"
)
MEMORY = "## Prediction: memory\n\n"
MEMORY_HEADER = (
    "| volume | block | wall, s | Mvoxel/s | memory, MB | date | commit | machine |\n|---|---|---|---|---|---|---|---|\n"
)
BLOCK_PATCHES = 4
BARE = "bare forward passes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["time", "memory"])
    parser.add_argument("volumes", nargs="+")
    parser.add_argument("--patch", default="64,64,64")
    parser.add_argument("--window", type=int, default=1)
    parser.add_argument("--overlap", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--crop", default="96,160,160", help="of a volume whose time is taken: its first voxels, z,y,x")
    parser.add_argument("--dry", action="store_true", help="append nothing")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    plan = unet_plan(arguments)
    torch.manual_seed(0)
    if arguments.child and arguments.what == "time":
        print(json.dumps(predict_volume(arguments.volumes[0], arguments.model)))
    elif arguments.child:
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
    """All ways over the first voxels of a volume."""

    from pytc_auto.models.build import build_network

    network, other = build_network(plan).eval(), as_torch_has_it(build_network(plan).eval())
    with tempfile.TemporaryDirectory() as folder:
        volume = cropped(path, arguments.crop, Path(folder))
        window, once = window_plan(plan, volume.shape).patch, patches_of(volume, plan)
        model = write_model(network, plan, volume, Path(folder) / "model")
        ways: dict[str, Callable[[], Timed]] = {
            BARE: lambda: timed(lambda: bare(network, plan, volume)),
            "pytc_auto, one block": lambda: timed(lambda: ours(network, plan, volume)),
            "pytc predict, one block": lambda: command(volume, model, once),
            "MONAI, our overlap": lambda: timed(lambda: sliding_window(other, plan, volume, window, arguments.overlap)),
            "MONAI, its defaults": lambda: timed(lambda: sliding_window(other, plan, volume, window, 0.25)),
        }
        warm_up(network, other, window)
        found: dict[str, list[Timed]] = {name: [] for name in ways}
        for _ in range(arguments.rounds):
            for name, way in ways.items():
                found[name].append(way())
    base = Timed(once, *(statistics.median(getattr(t, of) for t in found[BARE]) for of in ("wall", "cpu")))
    place, precision = ["×".join(map(str, volume.shape)), "×".join(map(str, window))], Predictor([network], plan).precision
    for name, rounds in found.items():
        row = [*place, name, *numbers(rounds, base)]
        tell(row, TIMES, TIMES_HEADER, arguments, f"{precision}, load {os.getloadavg()[0]:.1f}")
    tell([*place, *recomputed(plan)], TIMES, TIMES_HEADER, arguments, "counted")


def warm_up(network: torch.nn.Module, other: torch.nn.Module, window: Zyx) -> None:
    """What happens once: MONAI's imports, kernels that are made for these shapes."""
    from monai.inferers import sliding_window_inference

    patch = torch.randn(1, 1, *window)
    with torch.inference_mode():
        network(patch)
        sliding_window_inference(patch, window, 1, other)


@dataclass(frozen=True)
class Timed:
    """Patches, seconds of the clock and of the CPU (NaN where not known), and what else took time."""

    patches: int
    wall: float
    cpu: float
    beside: str = ""


def numbers(rounds: Sequence[Timed], base: Timed) -> list[str]:
    """The cells of a way."""
    wall, cpu = (statistics.median(getattr(t, of) for t in rounds) for of in ("wall", "cpu"))
    patches = rounds[0].patches
    shares = [f"{wall / base.wall:.2f}", "" if math.isnan(cpu) else f"{cpu / base.cpu:.2f}"]
    told = [str(patches), f"{wall:.1f}", "" if math.isnan(cpu) else f"{cpu:.1f}", f"{1000 * wall / patches:.0f}"]
    return [*told, *shares, rounds[-1].beside]


def recomputed(plan: Plan) -> list[str]:
    """How many patches meet a block amid many, and how many it would be if none were computed for two blocks."""
    block = zyx([BLOCK_PATCHES * n for n in plan.patch])
    middle = Box.of_shape(block, block)
    met = len(patches_meeting(zyx([3 * n for n in block]), plan, middle))
    steps = [round(n * (1 - plan.inference.overlap)) for n in plan.patch]
    own = math.prod(b / s for b, s in zip(block, steps, strict=True))
    who = f"blocks of {BLOCK_PATCHES} patches a side amid others"
    return [who, f"{met} for {own:.0f}", "", "", "", f"{met / own:.2f}", "", ""]


def cropped(path: str, crop: str, folder: Path) -> Volume:
    """The first voxels of a volume in a file of their own."""
    import h5py

    from pytc_auto.io.open import open_volume

    whole = open_volume(path)
    shape = zyx([min(int(n), e) for n, e in zip(crop.split(","), whole.shape, strict=True)])
    with h5py.File(folder / "volume.h5", "w") as file:
        stored = file.create_dataset(
            "raw", data=whole.read(Box.of_shape(shape)), chunks=tuple(map(min, shape, (32, 64, 64))), compression="gzip"
        )
        stored.attrs["resolution"] = whole.voxel_size_nm
    return open_volume(str(folder / "volume.h5"))


def patches_of(volume: Volume, plan: Plan) -> int:
    return len(patches_meeting(volume.shape, window_plan(plan, volume.shape), volume.box))


def whole_block(volume: Volume) -> Zyx:
    """A block that holds the volume."""
    return zyx([-(-n // c) * c for n, c in zip(volume.shape, CHUNK, strict=True)])


def write_model(network: Any, plan: Plan, volume: Volume, folder: Path) -> Path:
    """The network in a model folder, for one block; decoded by the cheapest decoder, for there is nothing to see."""
    from pytc_auto.models.weights import save_weights
    from pytc_auto.schema.model import DecoderChoice

    assert isinstance(plan.inference, Inference)
    folder.mkdir()
    plan.replace(inference=plan.inference.replace(block=whole_block(volume))).save(folder / "plan.yaml")
    DecoderChoice(kind="components", parameters={"threshold": 0.5}).save(folder / "decoder.json")
    save_weights(network, folder / "fold_0.safetensors")
    return folder


def as_torch_has_it(network: torch.nn.Module) -> torch.nn.Module:
    """The network with torch's own convolutions."""
    for module in network.modules():
        if isinstance(module, torch.nn.Conv3d):
            module.__class__ = torch.nn.Conv3d
    return network


def command(volume: Volume, model: Path, patches: int) -> Timed:
    """``pytc predict`` in a process of its own: its prediction, and apart what is before and after."""
    given = [sys.executable, __file__, "time", volume.source.partition(":")[0], "--child", "--model", str(model)]
    started = time.time()
    found = json.loads(subprocess.run(given, stdout=subprocess.PIPE, text=True, check=True).stdout)
    start, end = found["began"] - started, found["decoded"] - found["predicted"]
    beside = f"start {start:.1f} s, opening {found['predicting'] - found['began']:.1f} s, decoding {end:.1f} s"
    return Timed(patches, found["predicted"] - found["predicting"], math.nan, beside)


def predict_volume(path: str, model: str) -> dict[str, float]:
    """When each part of a prediction began or ended, in seconds of the epoch."""
    import pytc_auto

    seen: dict[str, float] = {}

    def note(what: str, _done: float, _of: float) -> None:
        if what.startswith("predicting"):
            seen.setdefault("predicting", time.time())
            seen["predicted"] = time.time()

    with tempfile.TemporaryDirectory() as folder:
        seen["began"] = time.time()
        pytc_auto.predict([path], model=model, out=Path(folder) / "out", progress=note)
        seen["decoded"] = time.time()
    return seen


def timed(way: Callable[[], int]) -> Timed:
    """What a way in this process takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    patches = way()
    return Timed(patches, time.perf_counter() - wall, time.process_time() - cpu)


def bare(network: Any, plan: Plan, volume: Volume) -> int:
    """As many forward passes as the volume has patches, in our precision and layout."""
    predictor, patches = Predictor([network], window_plan(plan, volume.shape)), patches_of(volume, plan)
    patch = torch.randn(1, 1, *predictor.plan.patch)
    with torch.inference_mode(), autocast(predictor.precision, "cpu"):
        for _ in range(patches):
            predictor._forward(patch)
    return patches


def ours(network: Any, plan: Plan, volume: Volume) -> int:
    """From the volume on disk to predictions on disk, as one block; the number of patches."""
    with tempfile.TemporaryDirectory() as folder:
        predict(Predictor([network], plan), plan, volume, whole_block(volume), Path(folder))
    return patches_of(volume, plan)


def predict(predictor: Predictor, plan: Plan, volume: Volume, block: Zyx, folder: Path) -> None:
    """All blocks, in this process."""
    chunk = zyx([min(c, n) for c, n in zip(CHUNK, block, strict=True)])
    shape = (plan.channels, *volume.shape)
    size = volume.voxel_size_nm or plan.voxel_size_nm
    array = create_image(folder / "out", shape_czyx=shape, chunks=(1, *chunk), dtype="uint8", voxel_size_nm=size, attributes={})
    task = BlockPrediction(lambda: [predictor], lambda: array, volume, volume.box)
    boxes = list(blocks(volume.box, whole_chunks(block, chunk)))
    Executor().run(task, boxes, BlockLedger(folder / "blocks", "a"))


def sliding_window(network: Any, plan: Plan, volume: Volume, window: Zyx, overlap: float) -> int:
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
    layer = with_own_convolutions(torch.nn.Conv3d(1, plan.channels, 3, padding=1))
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

"""Old against new: v1's unet_3d by a configuration that v1 shipped, and our own plan, in equal time.

    python benchmarks/v1.py DATASET --max-time T
    python benchmarks/v1.py DATASET --max-time T --config CONFIG [--base BASE] [key value ...]

Without a configuration the row is that of the self-made plan. Both learn from DATASET/train with our trainer and are scored
once on DATASET/test. The configuration keeps its network, targets, losses, augmentation, patch and windows; its iterations
become as many as the time has room for, its batch is one crop, as a CPU's is with us, and keys that follow, as on the
command line of v1, change the rest. A row is appended to results.md beside this file. A run that was interrupted resumes.
"""

from __future__ import annotations

import argparse
import datetime
import math
import shutil
import time
from pathlib import Path

import h5py
from accuracy import scored
from results import append, commit, machine

import pytc_auto
from pytc_auto.io.open import open_segmentation, open_volume
from pytc_auto.options import seconds
from pytc_auto.pipeline.import_v1 import import_v1
from pytc_auto.pipeline.runs import Run
from pytc_auto.schema.plan import Plan
from pytc_auto.training.probe import seconds_per_step

HEADER = (
    "| data | time | plan | patch, features | steps | Mvoxels seen | test scores | wall, s | date | commit | machine |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|\n"
)
SECTION = "## Old against new\n\n"
TRAINING_SHARE = 0.7
"""Of the time; the rest is for validation, the decoder and export."""
VALIDATIONS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("pairs", nargs="*", default=[])
    parser.add_argument("--config", type=Path)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--max-time", required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs") / "v1")
    arguments = parser.parse_intermixed_args()
    name, most = arguments.dataset.resolve().name, seconds(arguments.max_time)
    new = Run(arguments.runs / f"{name}-new")
    if not new.plan_file.is_file():
        pytc_auto.plan(arguments.dataset / "train", name=new.name, runs=arguments.runs, max_seconds=most, say=print)
    if arguments.config is None:
        _row(new, "self-made", arguments, most)
        return
    old = Run(arguments.runs / f"{name}-{arguments.config.stem}")
    if not old.plan_file.is_file():
        _import(old, new, arguments, most)
    _row(old, arguments.config.stem, arguments, most)


def _import(old: Run, new: Run, arguments: argparse.Namespace, most: float) -> None:
    """The run of the configuration on the volumes of the other, with as many steps as the time has room for."""
    old.folder.mkdir(parents=True, exist_ok=True)
    entry = new.dataset().volumes[0]
    for key in ("image", "labels"):
        with h5py.File(old.folder / f"{key}.h5", "w") as file:
            volume = open_volume(Path(new.dataset().root) / getattr(entry, key), voxel_size_nm=entry.voxel_size_nm)
            file["main"] = volume.read(volume.box)
    pairs = ["DATASET.INPUT_PATH", str(old.folder.resolve()), "DATASET.IMAGE_NAME", "image.h5", "DATASET.LABEL_NAME", "labels.h5"]
    pairs += ["DATASET.IS_ABSOLUTE_PATH", "False", "SOLVER.SAMPLES_PER_BATCH", "1", "SYSTEM.NUM_GPUS", "1", *arguments.pairs]

    def imported(steps: int) -> Plan:
        every = max(1, steps // VALIDATIONS)
        clock = ["SOLVER.ITERATION_TOTAL", every * VALIDATIONS, "SOLVER.ITERATION_VAL", every, "SOLVER.WARMUP_ITERS", steps // 20]
        given = [*pairs, *map(str, clock)]
        return import_v1(
            arguments.config, given, base=arguments.base, out=old.folder, voxel_size_nm=new.plan().voxel_size_nm
        ).plan

    plan = imported(1000)
    refit = plan.sampling.refit_steps / plan.sampling.steps
    step = seconds_per_step(plan.network, plan.outputs, plan.patch, batch=1, precision=plan.precision, device="cpu")
    print(f"{arguments.config.stem}: {step:.2f} s a step")
    imported(int(TRAINING_SHARE * most / step / (1 + refit)))
    shutil.copy(new.dataset_file, old.dataset_file)


def _row(run: Run, told: str, arguments: argparse.Namespace, most: float) -> None:
    started = time.monotonic()
    pytc_auto.train(run.name, runs=arguments.runs, max_seconds=most, say=print)
    wall, plan = time.monotonic() - started, run.plan()
    text = scored(run, arguments.dataset)
    if plan.task == "objects":
        text = _foreground_dice(run, arguments.dataset)
    steps = plan.sampling.steps + plan.sampling.refit_steps
    shown = f"{'×'.join(map(str, plan.patch))}, {plan.network.features[0]}–{plan.network.features[-1]}"
    seen = f"{steps * math.prod(plan.patch) * plan.sampling.batch / 1e6:.0f}"
    where = [datetime.date.today(), commit(), machine()]
    row = [arguments.dataset.resolve().name, arguments.max_time, told, shown, steps, seen, text, f"{wall:.0f}", *where]
    append(f"| {' | '.join(map(str, row))} |\n", section=SECTION, header=HEADER)


def _foreground_dice(run: Run, dataset: Path) -> str:
    """Of v1's foreground, which is decoded into objects, with a mask."""
    image = next((dataset / "test" / "images").iterdir())
    truth = next((dataset / "test" / "labels").iterdir())
    size = run.plan().voxel_size_nm
    found, wanted = (open_segmentation(path, voxel_size_nm=size) for path in (run.folder / f"test_{image.stem}.zarr", truth))
    a, b = found.read(found.box) > 0, wanted.read(wanted.box) > 0
    return f"dice of the foreground {2 * (a & b).sum() / max(1, a.sum() + b.sum()):.3f}"


if __name__ == "__main__":
    main()

"""One row of accuracy on real data: plan and train on DATASET/train, score once on DATASET/test.

    python benchmarks/accuracy.py DATASET --max-time T [--seed N]

The row is appended to results.md beside this file. A row of the same data set, time, seed and commit is not made again. A run
that was interrupted resumes.
"""

from __future__ import annotations

import argparse
import datetime
import time
from pathlib import Path
from typing import TYPE_CHECKING

from results import RESULTS, append, commit, machine

if TYPE_CHECKING:
    from pytc_auto.pipeline.runs import Run

HEADER = (
    "| data | time | plan | steps | test scores | wall, s | date | commit | machine |\n|---|---|---|---|---|---|---|---|---|\n"
)
SECTION = "## Accuracy on `test`\n\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--max-time", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("runs") / "accuracy")
    arguments = parser.parse_args()
    name = arguments.dataset.resolve().name
    time_given = arguments.max_time + (f", seed {arguments.seed}" if arguments.seed else "")
    key = f"| {name} | {time_given} |"
    if RESULTS.is_file() and any(line.startswith(key) and commit() in line for line in RESULTS.read_text().splitlines()):
        print(f"{name} at {time_given} is measured already for {commit()}; see {RESULTS}")
        return
    row = measure(arguments.dataset, arguments.max_time, arguments.seed, arguments.runs)
    append(f"{key} {row} |\n", section=SECTION, header=HEADER)


def measure(dataset: Path, max_time: str, seed: int, runs: Path) -> str:
    import pytc_auto
    from pytc_auto.options import seconds

    name = f"{dataset.resolve().name}-{max_time}-{seed}"
    by_hand = [f"sampling.seed={seed}"] if seed else []
    started = time.monotonic()
    if not (runs / name / "plan.yaml").is_file():
        pytc_auto.plan(dataset / "train", by_hand, name=name, runs=runs, max_seconds=seconds(max_time), say=print)
    trained = pytc_auto.train(name, runs=runs, say=print)
    wall = time.monotonic() - started
    plan = trained.run.plan()
    text = scored(trained.run, dataset)
    network = plan.network.features
    made = f"{'×'.join(map(str, plan.patch))}, {network[0]}–{network[-1]} features, {plan.precision}"
    refit = f" + {plan.sampling.refit_steps} refit" if plan.sampling.refit_steps else ""
    return f"{made} | {plan.sampling.steps}{refit} | {text} | {wall:.0f} | {datetime.date.today()} | {commit()} | {machine()}"


def scored(run: Run, dataset: Path) -> str:
    """Predict and score DATASET/test with the model of a run."""
    import pytc_auto

    plan = run.plan()
    images = sorted((dataset / "test" / "images").iterdir())
    labels = {p.stem: p for p in (dataset / "test" / "labels").iterdir()}
    scores: dict[str, float] = {}
    for image in images:
        out = run.folder / f"test_{image.stem}.zarr"
        size = plan.voxel_size_nm
        pytc_auto.predict([image], model=run.model, out=out, voxel_size_nm=size, keep_predictions=True)
        scores = pytc_auto.evaluate(out, labels[image.stem], json_file=run.folder / f"scores_{image.stem}.json")
    shown = {k: v for k, v in scores.items() if k in ("voi", "voi_split", "voi_merge", "adapted_rand") or "dice" in k}
    return ", ".join(f"{k} {v:.3f}" for k, v in shown.items())


if __name__ == "__main__":
    main()

"""The command line: parse, call the pipeline, print."""

from __future__ import annotations

import logging
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pytc_auto.errors import PytcError
from pytc_auto.options import (
    BorderOption,
    BoxOption,
    MembersOption,
    RunsOption,
    SymmetriesOption,
    TimeOption,
    VoxelSizeOption,
    fold_number,
)

if TYPE_CHECKING:
    from pytc_auto.progress import Bars
    from pytc_auto.schema.dataset import Task

app = typer.Typer(
    help="Segment electron-microscopy volumes without writing a configuration.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class TaskName(StrEnum):
    """What to segment."""

    auto = "auto"
    neurons = "neurons"
    objects = "objects"
    classes = "classes"


PLAIN_WIDTH = 150
"""Of tables that go into a file or a pipe."""

TASKS: dict[TaskName, Task | None] = {
    TaskName.auto: None,
    TaskName.neurons: "neurons",
    TaskName.objects: "objects",
    TaskName.classes: "classes",
}


class KindName(StrEnum):
    """What labels are."""

    instances = "instances"
    classes = "classes"


class SizeName(StrEnum):
    """A fixed machine: 8, 24 or 80 GB of GPU memory."""

    S = "S"
    M = "M"
    L = "L"


class LauncherName(StrEnum):
    """Where a sweep trains."""

    local = "local"
    slurm = "slurm"


class UnitsName(StrEnum):
    """In what SWC files tell places."""

    nm = "nm"
    um = "um"
    voxel = "voxel"


class LoggerName(StrEnum):
    """Who is told losses and scores, beside TensorBoard and a CSV file."""

    wandb = "wandb"
    mlflow = "mlflow"


@app.command()
def plan(  # noqa: PLR0913, PLR0917
    dataset: Annotated[Path, typer.Argument(help="folder with images/ and labels/, or one container with both")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="decisions made by hand, such as patch=[32,160,160]")
    ] = None,
    name: Annotated[str | None, typer.Option(help="of the run")] = None,
    runs: RunsOption = Path("runs"),
    voxel_size: VoxelSizeOption = None,
    task: Annotated[TaskName, typer.Option(help="what to segment")] = TaskName.auto,
    size: Annotated[SizeName | None, typer.Option(help="plan for a fixed machine instead of this one")] = None,
    max_time: TimeOption = None,
    full: Annotated[bool, typer.Option("--full", help="read all voxels of large volumes, not a sample")] = False,
    probe: Annotated[bool, typer.Option("--probe", help="run real steps to see what memory they take")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="print the rule and the numbers behind each decision")] = False,
) -> None:
    """Look at the data, decide everything, explain why."""
    from pytc_auto.pipeline.planning import plan as make
    from pytc_auto.report.terminal import fingerprint_table, plan_table

    with _bars() as bars:
        made = make(
            dataset,
            overrides or (),
            name=name,
            runs=runs,
            voxel_size_nm=voxel_size,
            task=TASKS[task],
            size=size.value if size else None,
            max_seconds=max_time,
            full=full,
            probe=probe,
            say=bars.say,
            progress=bars,
        )
    console = _console()
    console.print(fingerprint_table(made.fingerprint))
    console.print(plan_table(made.plan, explain=explain))
    for remark in made.remarks:
        console.print(f"[yellow]Note:[/] {_escaped(remark)}")
    console.print(
        f"Report: {made.run.report_file}\nPlan: {made.run.plan_file}\nNext: pytc train {made.run.name}"
        + (f" --runs {runs}" if str(runs) != "runs" else "")
    )


@app.command()
def train(  # noqa: PLR0913, PLR0917
    what: Annotated[str, typer.Argument(help="data folder, plan file, or the run's name", metavar="DATASET|PLAN|NAME")],
    runs: RunsOption = Path("runs"),
    fold: Annotated[Any, typer.Option(parser=fold_number, metavar="K|all", help="which fold to train")] = "0",
    max_time: TimeOption = None,
    init_from: Annotated[Path | None, typer.Option(metavar="MODEL", help="model folder whose weights to start from")] = None,
    devices: Annotated[int, typer.Option(min=1, help="train on so many at once; with --fold all, a fold on each")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="machines, under torchrun or SLURM")] = 1,
    logger: Annotated[list[LoggerName] | None, typer.Option(help="beside TensorBoard and CSV; may be repeated")] = None,
) -> None:
    """Run the plan; the same command again resumes. Exports one model folder."""
    from pytc_auto.pipeline.training import train as run
    from pytc_auto.report.terminal import score_table
    from pytc_auto.training.flags import Flags

    number: Any = fold if fold == "all" else int(fold)
    loggers = tuple(name.value for name in logger or ())
    flags = Flags(devices=devices, nodes=nodes, loggers=loggers, init_from=init_from)
    with _bars() as bars:
        done = run(what, runs=runs, fold=number, max_seconds=max_time, flags=flags, say=bars.say, progress=bars)
    console = _console()
    for number, scores in sorted(done.scores.items()):
        console.print(score_table(scores, f"Validation, fold {number} (chosen by {done.metric})"))
    if done.refit:
        console.print("The exported weights then learned from all labelled data, the held-out part included.")
    if done.stopped_early:
        console.print("[yellow]Note:[/] stopped early, as --max-time asked.")
    console.print(f"Model: {done.run.model}\nNext: pytc predict VOLUME --model {done.run.model} -o OUT")


@app.command()
def sweep(  # noqa: PLR0913, PLR0917
    dataset: Annotated[Path, typer.Argument(help="folder with images/ and labels/, or one container with both")],
    overrides: Annotated[
        list[str], typer.Argument(metavar="KEY=A,B...", help="decisions with several values, such as network.kind=unet,mednext")
    ],
    name: Annotated[str | None, typer.Option(help="of the folder that holds the runs")] = None,
    runs: RunsOption = Path("runs"),
    voxel_size: VoxelSizeOption = None,
    task: Annotated[TaskName, typer.Option(help="what to segment")] = TaskName.auto,
    size: Annotated[SizeName | None, typer.Option(help="plan for a fixed machine instead of this one")] = None,
    max_time: TimeOption = None,
    fold: Annotated[Any, typer.Option(parser=fold_number, metavar="K|all", help="which fold to train")] = "0",
    launcher: Annotated[LauncherName, typer.Option(help="here one after another, or as SLURM jobs")] = LauncherName.local,
    slurm: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="of the jobs, such as partition=gpu")] = None,
) -> None:
    """Train every combination of decisions, one table at the end. The same command resumes."""
    from pytc_auto.pipeline.sweep import sweep as run
    from pytc_auto.report.terminal import sweep_table

    if slurm and launcher is not LauncherName.slurm:
        raise typer.BadParameter("--slurm goes with --launcher slurm.")
    with _bars() as bars:
        rows = run(
            dataset,
            overrides,
            name=name,
            runs=runs,
            voxel_size_nm=voxel_size,
            task=TASKS[task],
            size=size.value if size else None,
            max_seconds=max_time,
            fold=fold if fold == "all" else int(fold),
            slurm=(slurm or []) if launcher is LauncherName.slurm else None,
            say=bars.say,
            progress=bars,
        )
    console, folder = _console(), rows[0].run.folder.parent
    console.print(sweep_table([(row.values, row.scores if row.error is None else None) for row in rows], rows[0].metric))
    for row in rows:
        if row.error is not None:
            console.print(f"[bold red]Failed:[/] {row.run.name}: {_escaped(row.error)}")
    console.print(f"Table: {folder / 'results.csv'}")
    if rows[0].error is None:
        console.print(f"Best: {rows[0].run.model}\nNext: pytc predict VOLUME --model {rows[0].run.model} -o OUT")
    if any(row.error for row in rows):
        sys.exit(1)


@app.command()
def predict(  # noqa: PLR0913, PLR0917
    volumes: Annotated[list[str], typer.Argument(help="volumes, quoted globs, folders of volumes, or .txt files that list them")],
    model: Annotated[list[Path], typer.Option(help="folder that pytc train exported; several are averaged")],
    out: Annotated[Path, typer.Option("--out", "-o", help="OME-Zarr folder to write; of several volumes, a folder of such")],
    voxel_size: VoxelSizeOption = None,
    box: BoxOption = None,
    mask: Annotated[
        str | None, typer.Option(metavar="VOLUME", help="of the same shape; where it is 0 nothing is predicted")
    ] = None,
    members: MembersOption = None,
    symmetries: SymmetriesOption = None,
    keep_predictions: Annotated[bool, typer.Option("--keep-predictions", help="keep the network's output, too")] = False,
    force: Annotated[bool, typer.Option("--force", help="go on although the voxel size differs from the training's")] = False,
) -> None:
    """Segment volumes of any size; the same command again resumes. One that fails does not stop the others."""
    from pytc_auto.pipeline.prediction import predict as run
    from pytc_auto.report.terminal import outcome_table

    rows: list[tuple[str, str, float, int, str]] = []
    try:
        with _bars() as bars:
            run(
                volumes,
                model=model,
                out=out,
                voxel_size_nm=voxel_size,
                box=box,
                mask=mask,
                members=members,
                symmetries=symmetries,
                keep_predictions=keep_predictions,
                force=force,
                progress=bars,
                told=lambda o: rows.append((o.volume, o.state, o.seconds, o.voxels, str(o.target))),
            )
    finally:
        if rows:
            _console().print(outcome_table(rows))


@app.command()
def evaluate(  # noqa: PLR0913, PLR0917
    segmentation: Annotated[Path, typer.Argument(help="output of pytc predict, or any label volume")],
    labels: Annotated[Path | None, typer.Argument(help="the truth; may be left out with --skeletons")] = None,
    kind: Annotated[KindName | None, typer.Option(help="what the labels are; guessed where it is not told")] = None,
    box: BoxOption = None,
    ignore: Annotated[Path | None, typer.Option(help="mask; where it is not 0, voxels do not count")] = None,
    border: BorderOption = "0",
    boundary_nm: Annotated[
        float | None, typer.Option(min=0, help="how far apart boundaries of classes may be; else two voxels of the finest axis")
    ] = None,
    skeletons: Annotated[Path | None, typer.Option(help="traced neurons: .swc, a folder of these, or NISB's .pkl")] = None,
    skeleton_units: Annotated[UnitsName, typer.Option(help="of the x, y, z in SWC files")] = UnitsName.nm,
    voxel_size: VoxelSizeOption = None,
    json: Annotated[Path | None, typer.Option(help="write the scores here, too, with all that changes them")] = None,
) -> None:
    """Score a segmentation against labels, or on skeletons."""
    from pytc_auto.pipeline.evaluation import evaluate as run
    from pytc_auto.report.terminal import score_table

    with _bars() as bars:
        scores = run(
            segmentation,
            labels,
            kind=kind.value if kind else None,
            box=box,
            ignore=ignore,
            border=border,
            boundary_nm=boundary_nm,
            skeletons=skeletons,
            skeleton_units=skeleton_units.value,
            voxel_size_nm=voxel_size,
            json_file=json,
            progress=bars,
        )
    against = " and ".join(str(truth) for truth in (labels, skeletons) if truth)
    _console().print(score_table(scores, f"{segmentation} against {against}"))


@app.command()
def view(
    what: Annotated[str, typer.Argument(help="data folder, plan file, or the run's name", metavar="DATASET|PLAN|NAME")],
    augment: Annotated[bool, typer.Option("--augment", help="every effect of the augmentation, on these data")] = False,
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG picture to write")] = Path("augmentation.png"),
    runs: RunsOption = Path("runs"),
    voxel_size: VoxelSizeOption = None,
) -> None:
    """Look at what a training sees."""
    from pytc_auto.pipeline.augmentation_sheet import augmentation_sheet

    if not augment:
        raise typer.BadParameter("say what to look at: --augment.")
    with _bars() as bars:
        sheet = augmentation_sheet(what, out, runs=runs, voxel_size_nm=voxel_size, say=bars.say, progress=bars)
    _console().print(f"Look at {sheet}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="folder for data, run and result")] = Path("demo"),
) -> None:
    """The whole way on synthetic tissue: plan, train, predict, evaluate."""
    from pytc_auto.pipeline.demo import demo as run
    from pytc_auto.report.terminal import plan_table, score_table

    with _bars() as bars:
        done = run(out, say=bars.say, progress=bars)
    console = _console()
    console.print(plan_table(done.planned.plan))
    console.print(score_table(done.scores, "A volume that training never saw"))
    console.print(f"Look at {done.picture}")


def main() -> None:
    """Run a verb. A fault the user can mend is one message and exit code 1; what libraries say beside it is left out."""
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        app()
    except PytcError as error:
        _console(stderr=True).print(f"[bold red]Error:[/] {_escaped(str(error))}", soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        _console(stderr=True).print("Stopped. The same command goes on from here.")
        sys.exit(130)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _console(*, stderr: bool = False) -> Any:
    from rich.console import Console

    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=PLAIN_WIDTH)


def _bars() -> Bars:
    from rich.console import Console

    from pytc_auto.progress import Bars

    return Bars(_console() if _is_first_process() else Console(quiet=True))


def _is_first_process() -> bool:
    """Of those that Lightning, torchrun or SLURM have started together, the one that speaks."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))

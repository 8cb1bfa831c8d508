"""pytc train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pytc_auto.cli.screen import bars, screen
from pytc_auto.options import LoggerName, RunsOption, TimeOption, fold_number


def train(  # noqa: PLR0913, PLR0917
    what: Annotated[str, typer.Argument(help="data folder, plan file, or the run's name", metavar="DATASET|PLAN|NAME")],
    runs: RunsOption = Path("runs"),
    fold: Annotated[Any, typer.Option(parser=fold_number, metavar="K|all", help="which fold to train")] = "0",
    max_time: TimeOption = None,
    init_from: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="a trained run, its name or its model, whose weights to start from")
    ] = None,
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
    with bars() as shown:
        done = run(what, runs=runs, fold=number, max_seconds=max_time, flags=flags, say=shown.say, progress=shown)
    console = screen()
    for number, scores in sorted(done.scores.items()):
        console.print(score_table(scores, f"Validation, fold {number} (chosen by {done.metric})"))
    if done.refit:
        console.print("The exported weights then learned from all labelled data, the held-out part included.")
    if done.stopped_early:
        console.print("[yellow]Note:[/] stopped early, as --max-time asked.")
    console.print(f"Model: {done.run.model}\nNext: pytc predict VOLUME --model {done.run.model} -o OUT")

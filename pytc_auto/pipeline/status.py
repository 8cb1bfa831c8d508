"""``pytc status``: how far outputs of ``pytc predict`` are. Nothing is changed, and no work is disturbed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pytc_auto.errors import OutputError
from pytc_auto.executors.stages import Stage, read_stages
from pytc_auto.pipeline.segmentation_job import STATE


@dataclass(frozen=True)
class OutputStatus:
    """One output.

    Attributes:
        path: Of the output.
        finished: Whether its segmentation is complete.
        stages: That are not over yet, each with its blocks.
    """

    path: Path
    finished: bool
    stages: list[Stage]


def status(out: str | Path) -> list[OutputStatus]:
    """How far an output is, or each output in a folder of such.

    Raises:
        OutputError: It is neither, or its state is damaged.
    """
    out = Path(out)
    found = [folder for folder in (out, *(sorted(out.iterdir()) if out.is_dir() else ())) if _state(folder).is_file()]
    if not found:
        raise OutputError(f"{out}: is no output of pytc predict, nor a folder of such. Give what was given to it as -o.")
    return [_status(folder) for folder in found]


def _status(folder: Path) -> OutputStatus:
    try:
        finished = json.loads(_state(folder).read_text(encoding="utf-8"))["finished"] is True
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{_state(folder)}: is damaged ({error}). Delete {folder}, and predict again.") from error
    return OutputStatus(folder, finished, [] if finished else read_stages(folder / STATE))


def _state(folder: Path) -> Path:
    return folder / STATE / "job.json"

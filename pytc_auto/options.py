"""Values of the command line's options: what is typed, and what is said of it where it is wrong."""

from __future__ import annotations

import math
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from pytc_auto.executors.shard import Shard
    from pytc_auto.geometry import Box, Zyx
    from pytc_auto.schema.dataset import Task


class TaskName(StrEnum):
    """What to segment."""

    auto = "auto"
    neurons = "neurons"
    objects = "objects"
    classes = "classes"


class KindName(StrEnum):
    """What labels are."""

    instances = "instances"
    classes = "classes"
    synapses = "synapses"


class SizeName(StrEnum):
    """A fixed machine: 8, 24 or 80 GB of GPU memory."""

    S = "S"
    M = "M"
    L = "L"


class LauncherName(StrEnum):
    """Where a sweep trains."""

    local = "local"
    slurm = "slurm"


class FormatName(StrEnum):
    """How a segmentation is stored."""

    zarr = "zarr"
    tif = "tif"
    h5 = "h5"
    nifti = "nii.gz"
    precomputed = "precomputed"


class UnitsName(StrEnum):
    """In what SWC files tell places."""

    nm = "nm"
    um = "um"
    voxel = "voxel"


class LoggerName(StrEnum):
    """Who is told losses and scores, beside TensorBoard and a CSV file."""

    wandb = "wandb"
    mlflow = "mlflow"


TASKS: dict[TaskName, Task | None] = {
    TaskName.auto: None,
    TaskName.neurons: "neurons",
    TaskName.objects: "objects",
    TaskName.classes: "classes",
}


def seconds(text: str) -> float:
    """A time such as 90s, 30m, 1.5h; a bare number is minutes.

    >>> seconds("30m"), seconds("1.5h"), seconds("90s"), seconds("2")
    (1800.0, 5400.0, 90.0, 120.0)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if not match or float(match[1]) == 0:
        raise typer.BadParameter(f"{text!r} is not a time. Write 90s, 30m or 1.5h.")
    return float(match[1]) * {"s": 1, "m": 60, "": 60, "h": 3600}[match[2]]


def voxel_size(text: str) -> tuple[float, float, float]:
    """Three lengths in nanometers, z first.

    >>> voxel_size("45,4.6,4.6")
    (45.0, 4.6, 4.6)
    """
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != 3 or not all(0 < value < math.inf for value in values):
        raise typer.BadParameter(f"{text!r} is not a voxel size. Write Z,Y,X in nanometers, such as 45,4.6,4.6.")
    return values[0], values[1], values[2]


def fold_number(text: str) -> str:
    """A fold's number, or all."""
    if text != "all" and not text.isdecimal():
        raise typer.BadParameter(f"{text!r} is not a fold. Write its number, or all.")
    return text


def box(text: str) -> Box:
    """Where voxels start and stop on each axis, z first.

    >>> str(box("0:32,100:228,7:90"))
    '[0:32, 100:228, 7:90]'
    """
    from pytc_auto.geometry import Box

    match = re.fullmatch(r"(\d+):(\d+),(\d+):(\d+),(\d+):(\d+)", text.replace(" ", ""))
    values = [int(value) for value in match.groups()] if match else [0] * 6
    if any(b <= a for a, b in zip(values[::2], values[1::2], strict=True)):
        raise typer.BadParameter(f"{text!r} is not a box. Write START:STOP for z, y and x, such as 0:32,100:228,7:90.")
    return Box((values[0], values[2], values[4]), (values[1], values[3], values[5]))


def border(text: str) -> Zyx:
    """Voxels at each face: one number, or one for each of z, y, x.

    >>> border("8"), border("2,16,16")
    ((8, 8, 8), (2, 16, 16))
    """
    match = re.fullmatch(r"(\d+)(?:,(\d+),(\d+))?", text.replace(" ", ""))
    if not match:
        raise typer.BadParameter(f"{text!r} is not a border. Write a number of voxels, or one for each axis, such as 2,16,16.")
    z, y, x = (int(value if value is not None else match[1]) for value in match.groups())
    return z, y, x


def members(text: str) -> tuple[int, ...]:
    """Numbers of folds.

    >>> members("0,2")
    (0, 2)
    """
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise typer.BadParameter(f"{text!r} are no members. Write the numbers of their folds, such as 0,2.")
    return tuple(int(number) for number in text.split(","))


def symmetries(text: str) -> int | Literal["all"]:
    """How many symmetries, or all.

    >>> symmetries("8"), symmetries("all")
    (8, 'all')
    """
    if text == "all":
        return "all"
    if not text.isdecimal() or not int(text):
        raise typer.BadParameter(f"{text!r} is not a number of symmetries. Write 1 for the image as it is, 2, 4, …, or all.")
    return int(text)


def shard(text: str) -> Shard:
    """Which part of the blocks, of how many.

    >>> str(shard("0/4"))
    '0/4'
    """
    from pytc_auto.executors.shard import Shard

    match = re.fullmatch(r"(\d+)/(\d+)", text.replace(" ", ""))
    if not match or int(match[1]) >= int(match[2]):
        raise typer.BadParameter(f"{text!r} is not a shard. Write its number from 0 on, and how many there are, such as 0/4.")
    return Shard(int(match[1]), int(match[2]))


def dask(text: str) -> str:
    """Where dask has its workers.

    >>> dask("local"), dask("tcp://10.0.0.1:8786")
    ('local', 'tcp://10.0.0.1:8786')
    """
    if not re.fullmatch(r"local|slurm|\w+://\S+|[\w.-]+:\d+", text):
        raise typer.BadParameter(f"{text!r} is not a scheduler. Write local, slurm, or its address, such as tcp://host:8786.")
    return text


def parameter(text: str) -> tuple[str, float]:
    """A decoder's parameter with its value.

    >>> parameter("threshold=0.6")
    ('threshold', 0.6)
    """
    name, _, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not name.strip() or not math.isfinite(number) or number < 0:
        raise typer.BadParameter(f"{text!r} is not a parameter. Write NAME=VALUE, such as threshold=0.6.")
    return name.strip(), number


BoxOption = Annotated[Any, typer.Option(parser=box, metavar="Z:Z,Y:Y,X:X", help="only this part, in voxels")]
BorderOption = Annotated[Any, typer.Option(parser=border, metavar="N|Z,Y,X", help="voxels left out at each face")]
MembersOption = Annotated[Any, typer.Option(parser=members, metavar="K,K...", help="folds used of the model")]
SymmetriesOption = Annotated[Any, typer.Option(parser=symmetries, metavar="N|all", help="averaged per patch")]
WorkersOption = Annotated[int, typer.Option(min=1, help="processes, each with a GPU or its share of the cores")]
ShardOption = Annotated[Any, typer.Option(parser=shard, metavar="I/N", help="only every N-th block; N such commands do all")]
DaskOption = Annotated[Any, typer.Option(parser=dask, metavar="ADDRESS|local|slurm", help="workers of dask.distributed")]
VoxelSizeOption = Annotated[Any, typer.Option(parser=voxel_size, metavar="Z,Y,X", help="nanometers, where the files do not tell")]
TimeOption = Annotated[Any, typer.Option(parser=seconds, metavar="TIME", help="wall clock for one fold, such as 30m")]
RunsOption = Annotated[Path, typer.Option(help="folder of all runs")]

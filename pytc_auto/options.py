"""Values of the command line's options: what is typed, and what is said of it where it is wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pytc_auto.geometry import Box, Zyx


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


BoxOption = Annotated[Any, typer.Option(parser=box, metavar="Z:Z,Y:Y,X:X", help="only this part, in voxels of the labels")]
BorderOption = Annotated[Any, typer.Option(parser=border, metavar="N|Z,Y,X", help="voxels left out at each face")]

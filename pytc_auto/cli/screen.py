"""What verbs print with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytc_auto.progress import Bars

PLAIN_WIDTH = 150
"""Of tables that go into a file or a pipe."""


def escaped(text: str) -> str:
    """A text without what rich takes for markup."""
    from rich.markup import escape

    return escape(text)


def screen(*, stderr: bool = False) -> Any:
    """A console as wide as the terminal; a file or a pipe gets wide lines."""
    from rich.console import Console

    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=PLAIN_WIDTH)


def bars() -> Bars:
    """Progress on the screen, of the first process alone."""
    from rich.console import Console

    from pytc_auto.progress import Bars

    return Bars(screen() if _is_first_process() else Console(quiet=True))


def _is_first_process() -> bool:
    """Of those that Lightning, torchrun or SLURM have started together, the one that speaks."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))

"""Where networks run on this machine."""

from __future__ import annotations

from typing import Literal


def device() -> Literal["cpu", "cuda"]:
    """The accelerator if there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"

"""What this machine has for networks and data."""

from __future__ import annotations

import os
from typing import Literal

DATA_SHARE = 0.25


def device() -> Literal["cpu", "cuda"]:
    """The accelerator if there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def memory_for_data() -> float:
    """Bytes of volumes that a training holds, shared by the processes that make its crops: a quarter of this machine's memory."""
    return DATA_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

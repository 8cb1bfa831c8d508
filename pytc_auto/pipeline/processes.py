"""Several processes that train together: the first one validates, tunes, writes and exports."""

from __future__ import annotations

import sys


def is_first() -> bool:
    """Whether this is the first process, or the only one."""
    import torch.distributed as group

    return not group.is_initialized() or group.get_rank() == 0


def wait_for_all() -> None:
    """Go on when all processes are here."""
    import torch.distributed as group

    if group.is_initialized():
        group.barrier()


def end_unless_first() -> None:
    """The others have done their part."""
    if not is_first():
        sys.exit(0)

"""A process that was started by another and must not outlive it."""

from __future__ import annotations

import os
import threading
import time

PARENT_SECONDS = 1.0


def end_with_parent() -> None:
    """End this process at once when its parent has ended."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="end-with-parent").start()

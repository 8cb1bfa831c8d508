from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path


def test_a_process_ends_with_its_parent():
    child = (
        "import time; from pytc_auto.executors.parent import end_with_parent; end_with_parent(); "
        "print(__import__('os').getpid(), flush=True); time.sleep(60)"
    )
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        number = int(process.stdout.readline())
        assert _lives(number)
        process.kill()
    deadline = time.monotonic() + 30
    while _lives(number):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _lives(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False

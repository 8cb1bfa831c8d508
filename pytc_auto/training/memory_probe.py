"""How much memory a training step takes here: a real one, in a process of its own, which may run out of it."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

from pytc_auto.geometry import Zyx
from pytc_auto.schema.document import check_field
from pytc_auto.schema.network import Network
from pytc_auto.schema.plan import Plan, Precision

STEPS = 2
"""The second step has the optimizer's state beside it."""
PATIENCE_SECONDS = 600.0


def step_bytes(network: Network, channels: int, patch: Zyx, *, batch: int, precision: Precision, device: str) -> int | None:
    """Peak of one training step on noise, what torch itself takes included.

    Returns:
        Bytes; None where the step ran out of memory or did not end in ten minutes.
    """
    task = {
        "network": network.model_dump(mode="json"),
        "channels": channels,
        "patch": list(patch),
        "batch": batch,
        "precision": precision,
        "device": device,
    }
    command = [sys.executable, "-m", __name__, json.dumps(task)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return None
    return int(done.stdout.split()[-1]) if done.returncode == 0 else None


def _run(text: str) -> int:
    """The child's part."""
    import torch

    from pytc_auto.training.probe import training_steps

    task = json.loads(text)
    network, patch = check_field(Plan, "network", task["network"], "probe"), task["patch"]
    before = 0
    if task["device"] == "cuda":
        free, total = torch.cuda.mem_get_info()
        before = total - free
    steps = training_steps(
        network, task["channels"], patch, batch=task["batch"], precision=task["precision"], device=task["device"]
    )
    for _ in range(STEPS):
        next(steps)
    if task["device"] == "cuda":
        return before + torch.cuda.max_memory_reserved()
    return peak_bytes()


def peak_bytes() -> int:
    """Of this process. Linux' getrusage would count its parent before the start, so its own record is read there."""
    status = Path("/proc/self/status")
    if status.is_file():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    sys.stdout.write(f"{_run(sys.argv[1])}\n")

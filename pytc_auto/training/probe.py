"""How long a training step takes here."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator
from typing import Literal

import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from pytc_auto.geometry import Zyx
from pytc_auto.models.build import build_from
from pytc_auto.models.convolution import laid_out
from pytc_auto.models.precision import autocast, half_precision
from pytc_auto.progress import Progress, silent
from pytc_auto.schema.network import Network
from pytc_auto.schema.plan import Precision
from pytc_auto.training.deep_supervision import loss_over_stages, stages_of

WARM_UP = 2
TIMED = 5
TIMED_SECONDS = 1.0
"""Short steps are timed for so long, or whatever else the machine does for a moment would decide."""
LEAST_GAIN = 1.15
"""A lower precision is chosen only if it is faster by this factor."""


def training_steps(
    network: Network, channels: int, patch: Zyx, *, batch: int, precision: Precision, device: str
) -> Iterator[float]:
    """Forward pass, backward pass and optimizer step on noise, again and again; gives the seconds of each.

    Raises:
        FloatingPointError: The precision gives a loss that is not finite.
    """
    model = laid_out(build_from(network, channels, patch).to(device), precision, device).train()
    optimizer = torch.optim.AdamW(model.parameters())
    image = torch.randn(batch, 1, *patch, device=device)
    truth = torch.zeros(batch, channels, *patch, device=device)
    while True:
        started = time.perf_counter()
        with autocast(precision, device):
            stages = stages_of(model(image))
        loss = loss_over_stages(stages, truth, truth, lambda made, wanted, _: cross_entropy(made.float(), wanted))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if not math.isfinite(float(loss.detach())):
            raise FloatingPointError(f"{precision} gave a loss that is not finite")
        yield time.perf_counter() - started


def seconds_per_step(  # noqa: PLR0913
    network: Network,
    channels: int,
    patch: Zyx,
    *,
    batch: int,
    precision: Precision,
    device: str,
    progress: Progress = silent,
) -> float:
    """Median time of one forward pass, backward pass and optimizer step on noise; the progress is told their voxels."""
    times: list[float] = []
    what, voxels = f"timing {'×'.join(map(str, patch))} in {precision}", batch * math.prod(patch)
    progress(what, 0, (WARM_UP + TIMED) * voxels)
    for seconds in training_steps(network, channels, patch, batch=batch, precision=precision, device=device):
        times.append(seconds)
        progress(what, len(times) * voxels, max(len(times), WARM_UP + TIMED) * voxels)
        if len(times) >= WARM_UP + TIMED and sum(times[WARM_UP:]) >= TIMED_SECONDS:
            break
    return statistics.median(times[WARM_UP:])


def fastest_precision(
    network: Network, channels: int, patch: Zyx, *, device: Literal["cpu", "cuda"], progress: Progress = silent
) -> tuple[Precision, float]:
    """The precision that pays here, and its time per step."""
    full, low = (
        seconds_per_step(network, channels, patch, batch=1, precision="fp32", device=device, progress=progress),
        half_precision(device),
    )
    if low is None:
        return "fp32", full
    half = seconds_per_step(network, channels, patch, batch=1, precision=low, device=device, progress=progress)
    return (low, half) if half * LEAST_GAIN < full else ("fp32", full)

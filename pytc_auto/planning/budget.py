"""How many steps fit into the time, and which patch and width make that enough."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from pytc_auto.errors import BudgetError
from pytc_auto.geometry import Zyx, patch_starts
from pytc_auto.planning.cost import memory_bytes, relative_work
from pytc_auto.planning.patch import Candidate
from pytc_auto.planning.prediction import choose_window
from pytc_auto.schema.plan import Folds, Machine, SlabFolds

LEAST_STEPS = 1500
WANTED_STEPS = {"cpu": 4000, "cuda": 20000}
UNLIMITED_STEPS = 50000
UNLIMITED_VALIDATIONS = 20
LEAST_WIDTH = 8
MEMORY_SHARE = 0.7
STARTUP_SECONDS = 30.0
SPARE_SHARE = 0.10
"""Share of the time left for what cannot be foreseen on a machine that others use too."""
DECODE_SECONDS_PER_MEGAVOXEL = 6.0
TUNING_VALIDATIONS = 2.0
"""The final tuning of the decoder costs about as much as this many validations."""
MOST_VALIDATIONS = 8
LEAST_VALIDATIONS = 3
VALIDATION_SHARE = 0.15
REFIT_FROM = 0.25
"""A single fold that leaves out this share of the labelled voxels, guard included, is refitted on all of them."""
REFIT_SHARE = 1 / 3
"""Of all steps."""
BATCHES = (1, 2, 4, 8)


@dataclass(frozen=True)
class Schedule:
    """What fits: batch, steps, and how often to validate.

    Attributes:
        refit_steps: On all data, after the fold.
        left_out: Share of the labelled voxels that the fold does not learn from.
    """

    candidate: Candidate
    batch: int
    fold_steps: int
    refit_steps: int
    validate_every: int
    left_out: float | None
    seconds_per_step: float
    validation_seconds: float
    bytes: int

    @property
    def steps(self) -> int:
        """Of fold and refit together."""
        return self.fold_steps + self.refit_steps


def fit_memory(candidate: Candidate, channels: int, machine: Machine) -> int | None:
    """The largest batch of 1, 2, 4, 8 that fits, or None; a CPU takes 1."""
    room = MEMORY_SHARE * machine.memory_gb * 1e9
    fitting = [n for n in BATCHES if memory_bytes(candidate.network, candidate.patch, channels, n) <= room]
    if not fitting:
        return None
    return 1 if machine.device == "cpu" else fitting[-1]


def schedule(candidate: Candidate, batch: int, channels: int, machine: Machine, *, folds: Folds, extent: Zyx | None) -> Schedule:
    """Steps and validations for one candidate in the machine's time."""
    step = machine.seconds_per_step * relative_work(candidate.network, candidate.patch, channels, batch)
    size = memory_bytes(candidate.network, candidate.patch, channels, batch)
    window = choose_window(machine, candidate.network, candidate.patch, channels)
    validation = _validation_seconds(candidate.patch, window, step / batch, folds, extent)
    left_out = _left_out(folds, extent)
    validations, steps = UNLIMITED_VALIDATIONS, UNLIMITED_STEPS
    if machine.seconds is not None:
        room = machine.seconds * (1 - SPARE_SHARE) - STARTUP_SECONDS
        validations = int(min(MOST_VALIDATIONS, max(LEAST_VALIDATIONS, VALIDATION_SHARE * room // max(validation, 1e-9))))
        steps = max(0, int((room - (validations + TUNING_VALIDATIONS) * validation) / step))
    refit = int(steps * REFIT_SHARE) if left_out is None or left_out >= REFIT_FROM else 0
    every = max(1, (steps - refit) // validations)
    return Schedule(
        candidate,
        batch,
        fold_steps=(steps - refit) // every * every,
        refit_steps=refit // every * every,
        validate_every=every,
        left_out=left_out,
        seconds_per_step=step,
        validation_seconds=validation,
        bytes=size,
    )


def choose(
    options: Callable[[int], list[Candidate]],
    channels: int,
    machine: Machine,
    width: int,
    *,
    folds: Callable[[Candidate], Folds],
    extent: Zyx | None,
) -> tuple[Schedule, str]:
    """The first option that has the wanted steps, else the smallest patch, else a narrower network.

    Args:
        options: Candidates of a width, the largest field of view first.
        channels: Of the network's output.
        machine: Memory and time.
        width: Features of the first stage to start from.
        folds: How the data are divided for a candidate.
        extent: Of the smallest labelled box.

    Returns:
        The schedule and what limited it: nothing, memory or time.

    Raises:
        BudgetError: The narrowest network on the smallest patch does not get its least steps, or does not fit the memory.
    """
    wanted, limit, last = WANTED_STEPS[machine.device], "nothing", None
    while width >= LEAST_WIDTH:
        for candidate in options(width):
            batch = fit_memory(candidate, channels, machine)
            if batch is None:
                limit = "memory"
                continue
            last = schedule(candidate, batch, channels, machine, folds=folds(candidate), extent=extent)
            if last.steps >= wanted:
                return last, limit
            limit = "time"
        if last is not None and last.steps >= LEAST_STEPS:
            return last, limit
        width = width * 3 // 4 // 4 * 4
    raise BudgetError(_refusal(last, machine))


def _refusal(last: Schedule | None, machine: Machine) -> str:
    if last is None:
        return f"{machine.memory_gb:g} GB of memory hold no patch of the least size. Use a machine with more memory."
    fixed = STARTUP_SECONDS + (LEAST_VALIDATIONS + TUNING_VALIDATIONS) * last.validation_seconds
    needed = (LEAST_STEPS * last.seconds_per_step + fixed) / (1 - SPARE_SHARE)
    return (
        f"--max-time {(machine.seconds or 0) / 60:.1f}m is too little for this data set: "
        f"{last.steps} steps fit, {LEAST_STEPS} are the least. Give at least {math.ceil(needed / 60)}m."
    )


def _left_out(folds: Folds, extent: Zyx | None) -> float | None:
    """Share of the labelled voxels that the first fold does not learn from; None where the extent of the volumes is not known."""
    if not isinstance(folds, SlabFolds):
        return 1 / folds.count
    if extent is None:
        return None
    held = 1 / folds.count if folds.count > 1 else 1 - folds.train
    return min(1.0, held + folds.guard / extent["zyx".index(folds.axis)])


def _validation_seconds(patch: Zyx, window: int, step: float, folds: Folds, extent: Zyx | None) -> float:
    """Prediction of the held-out data and its decoding; one forward pass over a patch is a third of a step."""
    if extent is None:
        return 60.0
    held = list(extent)
    if isinstance(folds, SlabFolds):
        axis = "zyx".index(folds.axis)
        share = 1 / folds.count if folds.count > 1 else 1 - folds.train
        held[axis] = max(1, round(held[axis] * share))
    windows, size = 1, 1
    for whole, part, n in zip(extent, held, patch, strict=True):
        length = min(whole, n * window if n > 1 else n)
        starts = patch_starts(whole, length, max(1, length // 2))
        windows *= sum(start + length > whole - part for start in starts)
        size *= length
    forward = windows * size / math.prod(patch) * step / 3
    return forward + math.prod(held) / 1e6 * DECODE_SECONDS_PER_MEGAVOXEL

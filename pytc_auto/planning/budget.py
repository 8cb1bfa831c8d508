"""How many steps fit into the time, and which patch and width make that enough."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from pytc_auto.errors import BudgetError
from pytc_auto.geometry import Zyx, patch_starts
from pytc_auto.planning.by_hand import ByHand
from pytc_auto.planning.cost import relative_work
from pytc_auto.planning.folds import Labelled, scored_extent
from pytc_auto.planning.memory import memory_bytes
from pytc_auto.planning.network import Candidate
from pytc_auto.planning.prediction import choose_window
from pytc_auto.schema.plan import Folds, Machine, VolumeFolds

ENOUGH_STEPS, LEAST_STEPS = 1500, 300
"""A network becomes narrower for as long as it does not get the first; the narrowest one is content with the second."""
WANTED_STEPS = {"cpu": 4000, "cuda": 20000}
UNLIMITED_STEPS = 50000
UNLIMITED_VALIDATIONS = 20
LEAST_WIDTH = 8
LANES = MappingProxyType({"fp32": 8, "bf16": 16, "fp16": 8})
"""Channels that a CPU computes at once; between its multiples a narrower network takes as long (measured, docs/log.md)."""
CUDA_LANES = 4
MEMORY_SHARE, PROBED_SHARE = 0.7, 0.9
"""Of the memory that a step may take, by the estimate alone and by a probe."""
STARTUP_SECONDS = 30.0
SPARE_SHARE = 0.10
"""Share of the time left for what cannot be foreseen on a machine that others use too."""
DECODE_SECONDS_PER_MEGAVOXEL = 6.0
TUNING_VALIDATIONS = 2.0
"""The final tuning of the decoder costs about as much as this many validations."""
MOST_VALIDATIONS = 8
LEAST_VALIDATIONS = 3
VALIDATION_SHARE = 0.15
MOST_SCORED = 64_000_000
"""Voxels of a held-out part that are scored, a cube of 400. More do not choose better, and may take as long as training."""
SCORED_MEMORY_SHARE = 0.25
"""Of the memory, for the logits of what is scored."""
REFIT_FROM = 0.25
"""A single fold that leaves out this share of the labelled voxels, guard included, is refitted on all of them."""
REFIT_SHARE = 1 / 3
"""Of all steps."""
BATCHES = (1, 2, 4, 8)
LEAST_SAMPLES = MappingProxyType({"cpu": 1, "cuda": 2})
"""Of an optimizer step; gradients of smaller batches are accumulated. nnU-Net's least batch on a GPU is 2, too."""


@dataclass(frozen=True)
class Schedule:
    """What fits: batch, steps, and how often to validate.

    Attributes:
        refit_steps: On all data, after the fold.
        fits: Steps that the time has room for; without a time as many as one likes.
        left_out: Share of the labelled voxels that the fold does not learn from.
        scored: Extent of the box of each held-out part that is scored; None: all of it.
    """

    candidate: Candidate
    batch: int
    accumulate: int
    fold_steps: int
    refit_steps: int
    validate_every: int
    fits: int
    left_out: float | None
    scored: Zyx | None
    seconds_per_step: float
    validation_seconds: float
    bytes: int

    @property
    def steps(self) -> int:
        """Of fold and refit together."""
        return self.fold_steps + self.refit_steps

    def suffices(self, wanted: int) -> bool:
        """Whether there are so many steps and time for all of them."""
        return wanted <= self.steps <= self.fits


def memory_room(machine: Machine) -> float:
    """Estimated bytes that a step may take."""
    if machine.memory_scale is None:
        return MEMORY_SHARE * machine.memory_gb * 1e9
    return PROBED_SHARE * machine.memory_gb * 1e9 / machine.memory_scale


@dataclass(frozen=True)
class _Validation:
    """What one validation takes.

    Attributes:
        patch: Of the network.
        window: Patches that are predicted at once, along each axis.
        step: Seconds of one for one patch; a forward pass is a third of it.
        labelled: How much of each volume is; None where it is not known.
    """

    patch: Zyx
    window: int
    step: float
    labelled: Labelled | None

    def seconds(self, folds: Folds) -> float:
        """Prediction of what is held out and scored, and its decoding."""
        if self.labelled is None:
            return 60.0
        return sum(self._of_part(*boxes) for boxes in self.labelled.held_out(folds))

    def seconds_alone(self, parts: Sequence[Zyx]) -> float:
        """The same of boxes that are volumes of their own."""
        return sum(self._of_part(part, part) for part in parts)

    def _of_part(self, whole: Zyx, held: Zyx) -> float:
        """The same of one box and the part of it that is held out."""
        windows, size = 1, 1
        for extent, part, n in zip(whole, held, self.patch, strict=True):
            length = min(extent, n * self.window if n > 1 else n)
            starts = patch_starts(extent, length, max(1, length // 2))
            windows *= sum(start + length > extent - part for start in starts)
            size *= length
        forward = windows * size / math.prod(self.patch) * self.step / 3
        return forward + math.prod(held) / 1e6 * DECODE_SECONDS_PER_MEGAVOXEL


@dataclass(frozen=True)
class Budget:
    """What steps and batches must fit into.

    Attributes:
        machine: Memory and time.
        channels: Of the network's output, for a patch.
        folds: How the data are divided for a candidate.
        labelled: How much of each volume is; None where it is not known.
        by_hand: Batch, steps and validations that are given.
    """

    machine: Machine
    channels: Callable[[Zyx], int]
    folds: Callable[[Candidate], Folds]
    labelled: Labelled | None
    by_hand: ByHand

    def batch(self, candidate: Candidate) -> int | None:
        """The largest batch of 1, 2, 4, 8 that fits the memory, or None; a CPU takes 1."""
        room = memory_room(self.machine)
        given = self.by_hand.get("sampling", "batch")
        channels = self.channels(candidate.patch)
        wanted = [1] if self.machine.device == "cpu" else BATCHES
        fitting = [
            n
            for n in (wanted if given is None else [given])
            if memory_bytes(candidate.network, candidate.patch, channels, n) <= room
        ]
        return fitting[-1] if fitting else None

    def schedule(self, candidate: Candidate, batch: int) -> Schedule:
        """Steps and validations for one candidate in the machine's time."""
        machine, network, patch = self.machine, candidate.network, candidate.patch
        channels = self.channels(patch)
        accumulate = self.by_hand.get("sampling", "accumulate") or math.ceil(LEAST_SAMPLES[machine.device] / batch)
        step = machine.seconds_per_step * relative_work(network, patch, channels, batch * accumulate)
        one = _Validation(patch, choose_window(machine, network, patch, channels), step / batch / accumulate, self.labelled)
        folds = self._scored(self.folds(candidate), one, channels)
        validation = one.seconds(folds)
        left_out = _left_out(folds, self.labelled)
        validations, steps, fits = UNLIMITED_VALIDATIONS, UNLIMITED_STEPS, sys.maxsize
        room = _room(machine)
        if room is not None:
            validations = int(min(MOST_VALIDATIONS, max(LEAST_VALIDATIONS, VALIDATION_SHARE * room // max(validation, 1e-9))))
            steps = fits = max(0, int((room - (validations + TUNING_VALIDATIONS) * validation) / step))
        share = REFIT_SHARE if left_out is None or left_out >= REFIT_FROM else 0.0
        return Schedule(
            candidate,
            batch,
            accumulate,
            *_divided(steps, share, validations, self.by_hand),
            fits=fits,
            left_out=left_out,
            scored=folds.scored,
            seconds_per_step=step,
            validation_seconds=validation,
            bytes=memory_bytes(network, patch, channels, batch),
        )

    def _scored(self, folds: Folds, one: _Validation, channels: int) -> Folds:
        """The folds; where to validate on all that is held out takes too much time or memory, with a box of it that does not."""
        if self.labelled is None or self.by_hand.gives("folds", "scored"):
            return folds
        room = _room(self.machine)
        seconds = math.inf if room is None else VALIDATION_SHARE * room / LEAST_VALIDATIONS
        voxels = min(MOST_SCORED, SCORED_MEMORY_SHARE * self.machine.memory_gb * 1e9 / (4 * channels))

        def affordable(parts: Sequence[Zyx]) -> bool:
            return max(map(math.prod, parts)) <= voxels and one.seconds_alone(parts) <= seconds

        parts = [part for _, part in self.labelled.held_out(folds)]
        if max(map(math.prod, parts)) <= voxels and one.seconds(folds) <= seconds:
            return folds
        return folds.replace(scored=scored_extent(parts, one.patch, affordable))


def _room(machine: Machine) -> float | None:
    """Seconds for steps and validations; None without a limit."""
    return None if machine.seconds is None else machine.seconds * (1 - SPARE_SHARE) - STARTUP_SECONDS


def _divided(steps: int, refit_share: float, validations: int, by_hand: ByHand) -> tuple[int, int, int]:
    """Steps of the fold, of the refit, and between two validations. The fold has whole intervals, the refit what is left."""
    given = {name: by_hand.get("sampling", name) for name in ("steps", "refit_steps", "validate_every")}
    fold, refit, every = given["steps"], given["refit_steps"], given["validate_every"]
    if fold is None:
        share = int(steps * refit_share) if refit is None else refit
        every = every or max(1, (steps - share) // validations)
        fold = max(0, steps - share) // every * every
        share = max(0, steps - fold) if share else 0
    else:
        share = round(fold * refit_share / (1 - refit_share)) if refit is None else refit
        every = every or fold // next(n for n in range(min(validations, fold), 0, -1) if fold % n == 0)
    return fold, share if refit is None else refit, every


def choose(options: Callable[[int], Iterable[Candidate]], width: int, budget: Budget) -> tuple[Schedule, str]:
    """The first option that has the wanted steps, else the smallest patch, else a narrower network for it, else fewer steps.

    Args:
        options: Candidates of a width, the largest field of view first.
        width: Features of the first stage to start from.
        budget: Memory and time.

    Returns:
        The schedule and what limited it: nothing, memory or time.

    Raises:
        BudgetError: The narrowest network on the smallest patch does not get its least steps, or does not fit the memory.
    """
    given = budget.by_hand.get("sampling", "steps")
    wanted, enough, least = (given or n for n in (WANTED_STEPS[budget.machine.device], ENOUGH_STEPS, LEAST_STEPS))
    limit, last, made = "nothing", None, list(options(width))
    lanes = CUDA_LANES if budget.machine.device == "cuda" else LANES[budget.machine.precision]
    while width >= max(LEAST_WIDTH, lanes):
        for candidate in made:
            batch = budget.batch(candidate)
            if batch is None:
                limit = "memory"
                continue
            last = budget.schedule(candidate, batch)
            if last.suffices(wanted):
                return last, limit
            limit = "time"
        if last is not None and last.suffices(enough):
            return last, limit
        width = width * 3 // 4 // lanes * lanes
        made = list(options(width))[-1:]
    if last is not None and last.suffices(least):
        return last, limit
    raise _refusal(last, budget, least)


def _refusal(last: Schedule | None, budget: Budget, least: int) -> BudgetError:
    """What is said where the last schedule that was tried does not have the least steps; None: memory held none."""
    machine = budget.machine
    if last is None:
        return BudgetError(
            f"{machine.memory_gb:g} GB of memory hold no patch of the least size, or not what is given by hand. "
            "Use a machine with more memory, or a smaller patch or batch."
        )
    minutes = _minutes(last, budget, least)
    return BudgetError(
        f"--max-time {(machine.seconds or 0) / 60:.1f}m is too little for this data set: "
        f"{min(last.steps, last.fits)} steps fit, {least} are the least. Give at least {minutes}m.",
        enough_seconds=60.0 * minutes,
    )


def _minutes(last: Schedule, budget: Budget, least: int) -> int:
    """Whole minutes in which the same network on the same patch gets its least steps.

    A plan has whole intervals between validations, and so fewer steps than fit.
    """
    fixed = STARTUP_SECONDS + (LEAST_VALIDATIONS + TUNING_VALIDATIONS) * last.validation_seconds
    minutes = math.ceil((least * last.seconds_per_step + fixed) / (1 - SPARE_SHARE) / 60)
    while True:
        later = replace(budget, machine=budget.machine.replace(seconds=60.0 * minutes))
        if later.schedule(last.candidate, last.batch).suffices(least):
            return minutes
        minutes += 1


def _left_out(folds: Folds, labelled: Labelled | None) -> float | None:
    """Share of the labelled voxels that the first fold does not learn from; None where the extent of the volumes is not known."""
    if labelled is not None:
        return labelled.left_out(folds)
    return 1 / folds.count if isinstance(folds, VolumeFolds) else None

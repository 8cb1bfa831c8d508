"""The planner: joins the rules into a plan. plan = f(fingerprint, machine)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pytc_auto.errors import BudgetError, PlanError
from pytc_auto.geometry import Zyx, ZyxFloat, symmetry_group
from pytc_auto.planning.augmentation import choose_augmentation
from pytc_auto.planning.budget import Budget, Schedule, choose
from pytc_auto.planning.by_hand import ByHand, Decisions
from pytc_auto.planning.decisions import Decision, rounded
from pytc_auto.planning.folds import Labelled, choose_folds
from pytc_auto.planning.heads import choose_heads
from pytc_auto.planning.network import LEAST_STEPS, START_WIDTH, Candidate, candidate, fitting, kinds
from pytc_auto.planning.patch import (
    MOST_VOXELS,
    PatchFamily,
    field_of_view,
    refuse_outsized,
    room_extent,
    wanted_field_of_view,
)
from pytc_auto.planning.prediction import choose_decoder, choose_inference
from pytc_auto.planning.scale import choose_scale
from pytc_auto.planning.task import choose_task, read_labels
from pytc_auto.schema.dataset import Task
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.heads import Head, ShapeHead
from pytc_auto.schema.network import Network
from pytc_auto.schema.plan import (
    ClassLabels,
    Folds,
    InstanceLabels,
    Intensity,
    Machine,
    Memory,
    Numbers,
    Optimizer,
    Plan,
    Sampling,
)

RARE_CLASS = 0.05
FOREGROUND_SHARE = 0.5
LEAST_EXTENT = 16
NO_AUXILIARY: Sequence[ShapeHead] = ()


@dataclass(frozen=True)
class _Ground:
    """What is settled before the patch is chosen.

    Attributes:
        extent: For which a patch has room, on the working grid.
        labelled: How much of each volume is; None where it is not known.
    """

    fingerprint: Fingerprint
    machine: Machine
    by_hand: ByHand
    task: Task
    scale: Zyx
    labels: InstanceLabels | ClassLabels
    voxel_size_nm: ZyxFloat
    extent: Zyx | None
    labelled: Labelled | None


def make_plan(fingerprint: Fingerprint, machine: Machine, *, task: Task | None = None, by_hand: ByHand | None = None) -> Plan:
    """Decide everything from what the data are and what the machine can do.

    Args:
        fingerprint: The data set.
        machine: Memory, time and speed.
        task: As declared on the command line; None leaves it to the labels.
        by_hand: Decisions that a person has made; what depends on them follows.

    Raises:
        PlanError: The task cannot be found or does not fit the labels, or what is given by hand is not valid.
        BudgetError: Time or memory do not suffice for the smallest sound plan, or for what is given by hand.
    """
    _refuse_tiny(fingerprint)
    decided = Decisions(by_hand or ByHand())
    ground = _settle(fingerprint, machine, task, decided)
    fit, patch = _choose_patch(ground)
    decided.add("patch", patch)
    decided.add("network", _network(fit))
    _decide_the_rest(ground, fit, decided)
    raw = {
        "format_version": 1,
        "name": fingerprint.name,
        "machine": machine,
        "voxel_size_nm": fingerprint.voxel_size_nm,
        **decided.values,
        "why": decided.why,
    }
    plan = Plan.parse(raw, "override" if decided.by_hand.values else fingerprint.name)
    if plan.decoder.metric == "nerl" and fingerprint.skeletons is None:
        raise PlanError(
            f"{fingerprint.name}: decoder.metric is nerl, but the data have no skeletons to measure run lengths on. "
            "Put them into skeletons/ beside the images, or use voi."
        )
    return plan


def _settle(fingerprint: Fingerprint, machine: Machine, task: Task | None, decided: Decisions) -> _Ground:
    """Task, working scale and labels."""
    decided.by_hand.checked("sampling", Sampling)
    chosen = decided.add("task", choose_task(fingerprint, task))
    scale = decided.add("working_scale", choose_scale(fingerprint))
    size = _scaled(fingerprint.voxel_size_nm, scale)
    return _Ground(
        fingerprint,
        machine,
        decided.by_hand,
        chosen,
        scale,
        decided.add("labels", read_labels(fingerprint, chosen, size)),
        size,
        extent=room_extent(fingerprint, scale),
        labelled=Labelled.of(fingerprint, scale),
    )


def _refuse_tiny(fingerprint: Fingerprint) -> None:
    """A volume must be a plane at least."""
    for volume in fingerprint.volumes:
        if volume.shape is not None and sorted(volume.shape)[1] < LEAST_EXTENT:
            raise PlanError(
                f"{fingerprint.name}: volume {volume.name} has shape {volume.shape} (z, y, x). "
                f"Two of its axes need {LEAST_EXTENT} voxels at least; check the file and its axis order."
            )


def _choose_patch(ground: _Ground) -> tuple[Schedule, Decision[Zyx]]:
    """Patch, network, batch and steps."""
    by_hand = ground.by_hand
    wanted_nm, rule, numbers = wanted_field_of_view(ground.fingerprint, ground.task)
    family = PatchFamily(ground.voxel_size_nm, ground.extent)
    given = by_hand.applied("patch", None)
    if given is not None:
        refuse_outsized(ground.fingerprint, ground.scale, given)
    patches = list(family.patches(wanted_nm)) if given is None else [given]
    budget = Budget(
        ground.machine,
        channels=lambda patch: sum(
            head.channels
            for head in (*by_hand.applied("heads", _heads(ground, patch).value), *by_hand.applied("auxiliary", NO_AUXILIARY))
        ),
        folds=lambda made: by_hand.applied("folds", choose_folds(ground.fingerprint, ground.labelled, made.patch).value),
        labelled=ground.labelled,
        by_hand=by_hand,
    )
    fit, limit = _most_demanding_kind(ground, patches, budget)
    if limit == "nothing" and given is None and math.prod(family.patch(wanted_nm)) > MOST_VOXELS:
        limit = "most_voxels"
    got = field_of_view(fit.candidate.patch, ground.voxel_size_nm)
    extent = list(ground.extent) if ground.extent else None
    numbers = {"wanted_nm": wanted_nm, "got_nm": got, "limited_by": limit, "volume": extent, **numbers}
    ruled = fit.candidate.patch if given is None else next(family.patches(wanted_nm))
    return fit, Decision(ruled, rule, numbers)


def _most_demanding_kind(ground: _Ground, patches: Sequence[Zyx], budget: Budget) -> tuple[Schedule, str]:
    """The schedule of the first kind of network that gets the steps it needs and no smaller patch, and what limited it."""
    machine = budget.machine
    *demanding, last = kinds(machine, ground.by_hand)

    def fitted(kind: str) -> tuple[Schedule, str]:
        def options(width: int) -> Iterator[Candidate]:
            size, by_hand = ground.voxel_size_nm, ground.by_hand
            wanted = fitting(kind, size, patches, by_hand)
            return (candidate(size, n, kind=kind, width=width, machine=machine, by_hand=by_hand) for n in wanted)

        return choose(options, START_WIDTH[machine.device], budget)

    simple, limit = fitted(last)
    for kind in demanding:
        with suppress(BudgetError):
            fit, its_limit = fitted(kind)
            roomy = all(n >= m for n, m in zip(fit.candidate.patch, simple.candidate.patch, strict=True))
            if roomy and fit.fits >= LEAST_STEPS[kind]:
                return fit, its_limit
    return simple, limit


def _decide_the_rest(ground: _Ground, fit: Schedule, decided: Decisions) -> None:
    """All that follows once patch and network are known."""
    fingerprint, machine, size, patch = ground.fingerprint, ground.machine, ground.voxel_size_nm, fit.candidate.patch
    network = fit.candidate.network
    decided.add("intensity", _intensity(fingerprint))
    decided.add(
        "precision", Decision(machine.precision, "precision.fastest", {"device": machine.device, "source": machine.source})
    )
    heads = decided.add("heads", _heads(ground, patch))
    decided.add("auxiliary", Decision(NO_AUXILIARY, "auxiliary.none", {}))
    channels = sum(head.channels for head in heads)
    order = _symmetries(ground, fit, heads)
    sampling = decided.add("sampling", _sampling(ground, fit))
    decided.add("augmentation", choose_augmentation(fingerprint, size, patch, order))
    decided.add("optimizer", _optimizer(sampling.steps))
    decided.add("folds", _folds(ground, fit))
    decided.add("inference", choose_inference(machine, network, patch, channels, order))
    decided.add("decoder", choose_decoder(fingerprint, ground.task, heads, size))
    decided.add("memory", _memory(machine, fit.bytes, fit.batch))


def _folds(ground: _Ground, fit: Schedule) -> Decision[Folds]:
    """How the data are divided, and how much of what is held out is scored."""
    limited = ground.machine.seconds is not None
    chosen = choose_folds(ground.fingerprint, ground.labelled, fit.candidate.patch, limited=limited)
    if fit.scored is None or ground.labelled is None:
        return chosen
    held_out, scored = (
        sum(math.prod(part) for _, part in ground.labelled.held_out(folds))
        for folds in (chosen.value, chosen.value.replace(scored=fit.scored))
    )
    numbers = {**chosen.numbers, "held_out_voxels": held_out, "scored_voxels": scored}
    return Decision(chosen.value.replace(scored=fit.scored), chosen.rule, numbers)


def _heads(ground: _Ground, patch: Zyx) -> Decision[Sequence[Head]]:
    size, rare = ground.voxel_size_nm, _is_rare(ground)
    return choose_heads(ground.fingerprint, ground.task, ground.labels, voxel_size_nm=size, patch=patch, rare=rare)


def _memory(machine: Machine, estimate: int, batch: int) -> Decision[Memory]:
    """The estimate, or what a probed step makes of it."""
    scale = machine.memory_scale
    if scale is None:
        return Decision(Memory(bytes=estimate, source="estimate"), "memory.estimate", {"batch": batch})
    probed = Memory(bytes=round(estimate * scale), source="probe")
    return Decision(probed, "memory.probe", {"batch": batch, "estimate": estimate, "scale": scale})


def _symmetries(ground: _Ground, fit: Schedule, heads: Sequence[Head]) -> int:
    """Order of the symmetry group of the chosen geometry."""
    network = fit.candidate.network
    offsets = [o for head in heads if head.kind == "affinities" for o in head.offsets]
    triples = [*network.strides, *network.kernels]
    return len(symmetry_group(ground.voxel_size_nm, fit.candidate.patch, per_axis=triples, offsets=offsets))


def _intensity(fingerprint: Fingerprint) -> Decision[Intensity]:
    """Clip at the 0.5 and 99.5 percentiles; subtract the mean, divide by the standard deviation."""
    facts = fingerprint.intensity
    if facts is None and fingerprint.sections.missing_rate == 1:
        raise PlanError(f"{fingerprint.name}: every section of the images is blank. Check the image files.")
    if facts is None:
        return Decision(Intensity(clip=(0.0, 255.0), scale=(128.0, 50.0)), "intensity.unknown", {"mean": None, "std": None})
    low, high = facts.percentiles["p0_5"], facts.percentiles["p99_5"]
    if facts.std == 0 or low == high:
        raise PlanError(
            f"{fingerprint.name}: every voxel of the images has the same value ({facts.mean:g}). Check the image files."
        )
    intensity = Intensity(clip=(rounded(low, 5), rounded(high, 5)), scale=(rounded(facts.mean, 5), rounded(facts.std, 5)))
    return Decision(intensity, "intensity.percentiles", {"mean": rounded(facts.mean, 5), "std": rounded(facts.std, 5)})


def _sampling(ground: _Ground, fit: Schedule) -> Decision[Sampling]:
    """Steps from the time; crops around rare classes or a sparse foreground."""
    facts = ground.fingerprint.labels
    rarest = _rarest_share(ground)
    sampling = Sampling(
        batch=fit.batch,
        accumulate=fit.accumulate,
        steps=fit.fold_steps,
        validate_every=fit.validate_every,
        refit_steps=fit.refit_steps,
        foreground_share=FOREGROUND_SHARE if _is_rare(ground, ground.labelled.share if ground.labelled else 1.0) else 0.0,
        seed=0,
        patience=None,
    )
    numbers: Numbers = {
        "seconds_per_step": rounded(fit.seconds_per_step),
        "validation_seconds": rounded(fit.validation_seconds),
        "seconds": ground.machine.seconds,
        "left_out_share": round(fit.left_out, 3) if fit.left_out is not None else None,
        "rarest_share": rounded(rarest) if rarest is not None else None,
        "labelled_share": rounded(ground.labelled.share) if ground.labelled else None,
        "foreground_fraction": facts.foreground_fraction if facts else None,
    }
    if rarest is None:
        numbers["foreground_share_by"] = "task"
    return Decision(sampling, "sampling.time" if ground.machine.seconds else "sampling.steps", numbers)


def _is_rare(ground: _Ground, labelled: float = 1.0) -> bool:
    """Whether foreground or a class is, where a share is labelled. Not known: neurons fill the volume, others do not."""
    rarest = _rarest_share(ground)
    if rarest is None:
        return ground.task != "neurons" or labelled < RARE_CLASS
    return rarest * labelled < RARE_CLASS


def _rarest_share(ground: _Ground) -> float | None:
    """Share of the rarest class, or of the foreground of instances; None where it is not known."""
    facts = ground.fingerprint.labels
    if facts is None:
        return None
    if isinstance(ground.labels, ClassLabels) and facts.values:
        shares = [facts.values.get(v, 0.0) for v in ground.labels.values]
        known = [share for share in shares if share is not None]
        return min(known) if len(known) == len(shares) else None
    return facts.foreground_fraction


def _optimizer(steps: int) -> Decision[Optimizer]:
    """AdamW; the average remembers about a sixteenth of the run, at most a thousand steps."""
    memory = min(1000, max(50, steps // 16))
    optimizer = Optimizer(
        kind="adamw",
        learning_rate=1e-3,
        weight_decay=1e-2,
        schedule="cosine",
        warmup_steps=min(100, steps // 10),
        clip_norm=1.0,
        ema=rounded(1 - 1 / memory, 5),
        swa_start=None,
        weighting="fixed",
    )
    return Decision(optimizer, "optimizer.adamw", {"steps": steps, "ema_steps": memory})


def _network(fit: Schedule) -> Decision[Network]:
    network = fit.candidate.network
    numbers: Numbers = {"stages": len(network.features), "width": network.features[0], "divides_by": list(network.divisor)}
    return Decision(fit.candidate.ruled, f"network.{fit.candidate.ruled.kind}", numbers)


def _scaled(size: ZyxFloat, scale: Zyx) -> ZyxFloat:
    return size[0] * scale[0], size[1] * scale[1], size[2] * scale[2]

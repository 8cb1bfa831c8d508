"""The planner: joins the rules into a plan. plan = f(fingerprint, machine)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytc_auto.errors import PlanError
from pytc_auto.geometry import Zyx, ZyxFloat, symmetry_group
from pytc_auto.planning.augmentation import choose_augmentation
from pytc_auto.planning.budget import Schedule, choose
from pytc_auto.planning.decisions import Decision, rounded
from pytc_auto.planning.folds import choose_folds
from pytc_auto.planning.heads import choose_heads
from pytc_auto.planning.patch import (
    Candidate,
    candidates,
    field_of_view,
    smallest_extent,
    smallest_labelled,
    wanted_field_of_view,
)
from pytc_auto.planning.prediction import choose_decoder, choose_inference
from pytc_auto.planning.scale import choose_scale
from pytc_auto.planning.task import choose_task, read_labels
from pytc_auto.schema.dataset import Task
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.plan import ClassLabels, Head, InstanceLabels, Intensity, Machine, Numbers, Optimizer, Plan, Sampling, Why

START_WIDTH = {"cpu": 16, "cuda": 32}
RARE_CLASS = 0.05
FOREGROUND_SHARE = 0.5
TYPICAL_CHANNELS = 6
LEAST_EXTENT = 16


@dataclass(frozen=True)
class _Ground:
    """What is settled before the patch is chosen.

    Attributes:
        extent: Of the smallest labelled volume on the working grid.
        labelled: Of the smallest labelled box.
    """

    fingerprint: Fingerprint
    machine: Machine
    task: Task
    labels: InstanceLabels | ClassLabels
    voxel_size_nm: ZyxFloat
    extent: Zyx | None
    labelled: Zyx | None


def make_plan(fingerprint: Fingerprint, machine: Machine, *, task: Task | None = None) -> Plan:
    """Decide everything from what the data are and what the machine can do.

    Args:
        fingerprint: The data set.
        machine: Memory, time and speed.
        task: As declared on the command line; None leaves it to the labels.

    Raises:
        PlanError: The task cannot be found or does not fit the labels.
        BudgetError: Time or memory do not suffice for the smallest sound plan.
    """
    _refuse_tiny(fingerprint)
    chosen_task = choose_task(fingerprint, task)
    scale = choose_scale(fingerprint)
    size = _scaled(fingerprint.voxel_size_nm, scale.value)
    labels = read_labels(fingerprint, chosen_task.value, size)
    ground = _Ground(
        fingerprint,
        machine,
        chosen_task.value,
        labels.value,
        size,
        extent=smallest_extent(fingerprint, scale.value),
        labelled=smallest_labelled(fingerprint, scale.value),
    )
    fit, patch_why = _choose_patch(ground)
    decisions: dict[str, Decision[object]] = {
        "task": chosen_task,
        "working_scale": scale,
        "labels": labels,
        **_after_patch(ground, fit),
    }
    raw: dict[str, object] = {key: decision.value for key, decision in decisions.items()}
    why = {key: decision.why for key, decision in decisions.items()}
    why |= {"patch": patch_why, "network": _network_why(fit), "memory": Why(rule="memory.estimate", numbers={"batch": fit.batch})}
    return Plan(
        format_version=1,
        name=fingerprint.name,
        machine=machine,
        voxel_size_nm=fingerprint.voxel_size_nm,
        patch=fit.candidate.patch,
        network=fit.candidate.network,
        memory={"bytes": fit.bytes, "source": "estimate"},
        why={field: why[field] for field in Plan.model_fields if field in why},
        **raw,
    )


def _refuse_tiny(fingerprint: Fingerprint) -> None:
    """A volume must be a plane at least."""
    for volume in fingerprint.volumes:
        if volume.shape is not None and sorted(volume.shape)[1] < LEAST_EXTENT:
            raise PlanError(
                f"{fingerprint.name}: volume {volume.name} has shape {volume.shape} (z, y, x). "
                f"Two of its axes need {LEAST_EXTENT} voxels at least; check the file and its axis order."
            )


def _choose_patch(ground: _Ground) -> tuple[Schedule, Why]:
    """Patch, topology, width, batch and steps."""
    wanted_nm, rule, numbers = wanted_field_of_view(ground.fingerprint, ground.task)
    device = ground.machine.device

    def options(width: int) -> list[Candidate]:
        return list(candidates(ground.voxel_size_nm, ground.extent, wanted_nm, width=width, device=device))

    fit, limit = choose(
        options,
        len(ground.labels.values) if isinstance(ground.labels, ClassLabels) else TYPICAL_CHANNELS,
        ground.machine,
        START_WIDTH[device],
        folds=lambda candidate: choose_folds(ground.fingerprint, ground.labelled, candidate.patch).value,
        extent=ground.labelled,
    )
    got = field_of_view(fit.candidate.patch, ground.voxel_size_nm)
    extent = list(ground.extent) if ground.extent else None
    return fit, Why(rule=rule, numbers={"wanted_nm": wanted_nm, "got_nm": got, "limited_by": limit, "volume": extent, **numbers})


def _after_patch(ground: _Ground, fit: Schedule) -> dict[str, Decision[object]]:
    """All that follows once patch and network are known."""
    fingerprint, machine, size, patch = ground.fingerprint, ground.machine, ground.voxel_size_nm, fit.candidate.patch
    heads = choose_heads(fingerprint, ground.task, ground.labels, voxel_size_nm=size, patch=patch)
    order = _symmetries(ground, fit, heads.value)
    return {
        "intensity": _intensity(fingerprint),
        "precision": Decision(machine.precision, "precision.fastest", {"device": machine.device, "source": machine.source}),
        "heads": heads,
        "sampling": _sampling(ground, fit),
        "augmentation": choose_augmentation(fingerprint, size, order),
        "optimizer": _optimizer(fit.fold_steps),
        "folds": choose_folds(fingerprint, ground.labelled, patch),
        "inference": choose_inference(machine, fit.candidate.network, patch, sum(head.channels for head in heads.value), order),
        "decoder": choose_decoder(fingerprint, ground.task),
    }


def _symmetries(ground: _Ground, fit: Schedule, heads: Sequence[Head]) -> int:
    """Order of the symmetry group of the chosen geometry."""
    network = fit.candidate.network
    offsets = [o for head in heads if head.kind == "affinities" for o in head.offsets]
    triples = [*network.strides, *network.kernels]
    return len(symmetry_group(ground.voxel_size_nm, fit.candidate.patch, per_axis=triples, offsets=offsets))


def _intensity(fingerprint: Fingerprint) -> Decision[Intensity]:
    """Clip at the 0.5 and 99.5 percentiles; subtract the mean, divide by the standard deviation."""
    facts = fingerprint.intensity
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
    """Steps from the time; crops around rare classes or a sparse foreground.

    Where the rarest share is not known, neurons are taken to fill the volume, objects and classes to be rare in it.
    """
    facts = ground.fingerprint.labels
    rarest = _rarest_share(ground)
    rare = ground.task != "neurons" if rarest is None else rarest < RARE_CLASS
    sampling = Sampling(
        batch=fit.batch,
        accumulate=1,
        steps=fit.fold_steps,
        validate_every=fit.validate_every,
        refit_steps=fit.refit_steps,
        foreground_share=FOREGROUND_SHARE if rare else 0.0,
        seed=0,
    )
    numbers: Numbers = {
        "seconds_per_step": rounded(fit.seconds_per_step),
        "validation_seconds": rounded(fit.validation_seconds),
        "seconds": ground.machine.seconds,
        "left_out_share": round(fit.left_out, 3) if fit.left_out is not None else None,
        "rarest_share": rounded(rarest) if rarest is not None else None,
        "foreground_fraction": facts.foreground_fraction if facts else None,
    }
    if rarest is None:
        numbers["foreground_share_by"] = "task"
    return Decision(sampling, "sampling.time" if ground.machine.seconds else "sampling.steps", numbers)


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
    )
    return Decision(optimizer, "optimizer.adamw", {"steps": steps, "ema_steps": memory})


def _network_why(fit: Schedule) -> Why:
    network = fit.candidate.network
    return Why(
        rule="network.unet",
        numbers={"stages": len(network.features), "width": network.features[0], "divides_by": list(network.divisor)},
    )


def _scaled(size: ZyxFloat, scale: Zyx) -> ZyxFloat:
    return size[0] * scale[0], size[1] * scale[1], size[2] * scale[2]

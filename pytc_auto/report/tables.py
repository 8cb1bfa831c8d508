"""Fingerprint and plan in words, the same on the console and in the report. What is not known is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytc_auto.geometry import AXES
from pytc_auto.schema.fingerprint import (
    Fingerprint,
    InstanceFacts,
    IntensityFacts,
    LabelFacts,
    SectionFacts,
    SkeletonFacts,
    VolumeFacts,
)
from pytc_auto.schema.plan import Plan

MOST_VOLUMES = 4
MOST_VALUES = 8
LEAST_ANISOTROPY = 1.05

Row = tuple[str, str]


def fingerprint_rows(fingerprint: Fingerprint) -> list[Row]:
    """What a data set is, a topic and its facts in each row."""
    volumes = fingerprint.volumes
    rows = [("volume", _volume(v)) for v in volumes[:MOST_VOLUMES]]
    if len(volumes) > MOST_VOLUMES:
        labelled = sum(v.labelled for v in volumes)
        rows.append(("", f"… and {len(volumes) - MOST_VOLUMES} more; {labelled} of all {len(volumes)} labelled"))
    rows.append(("voxel size", _voxel_size(fingerprint)))
    if fingerprint.intensity:
        rows.append(("gray values", _intensity(fingerprint.intensity)))
    rows += _sections(fingerprint.sections)
    if fingerprint.labels:
        rows += _labels(fingerprint.labels, fingerprint.class_names)
    if fingerprint.skeletons:
        rows.append(("skeletons", _skeletons(fingerprint.skeletons)))
    if fingerprint.sampled_fraction is not None:
        read = "all voxels" if fingerprint.sampled_fraction >= 1 else f"{100 * fingerprint.sampled_fraction:.3g} % of the voxels"
        rows.append(("measured on", f"{read}, seed {fingerprint.seed}" if fingerprint.sampled_fraction < 1 else read))
    return [(topic, facts) for topic, facts in rows if facts]


def plan_rows(plan: Plan) -> list[tuple[str, str, str, str]]:
    """Every decision: its field, its value, the rule, and the numbers that the rule looked at."""
    raw, rows = plan.model_dump(mode="json"), []
    for field, why in plan.why.items():
        value: Any = raw
        for step in field.split("."):
            value = value[int(step)] if isinstance(value, list) else {str(k): v for k, v in value.items()}.get(step)
        numbers = ", ".join(f"{k} {_rounded(v)}" for k, v in why.numbers.items() if v is not None)
        rows.append((field, short(value), why.rule, numbers))
    return rows


def short(value: object) -> str:
    """A value on one line, records as key: value."""
    if isinstance(value, dict):
        return ", ".join(f"{k}: {short(v)}" for k, v in value.items() if v is not None)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "; ".join(short(v) for v in value)
    return str(value)


def _rounded(value: object) -> object:
    """A number with as many digits as a person reads."""
    return f"{value:.{4 if abs(value) < 1e4 else 6}g}" if isinstance(value, float) else value


def times(numbers: Sequence[float]) -> str:
    """Numbers of the three axes: 45 × 4.6 × 4.6."""
    return " × ".join(f"{n:.3g}" if n < 1000 else f"{n:.0f}" for n in numbers)


def _volume(volume: VolumeFacts) -> str:
    parts = [volume.name]
    if volume.shape and (extent := volume.extent_nm):
        parts.append(f"{times(volume.shape)} voxels ({times([e / 1000 for e in extent])} µm)")
    parts += [volume.dtype] if volume.dtype else []
    parts += [f"{volume.channels} channels"] if volume.channels and volume.channels > 1 else []
    parts += [f"{len(volume.levels_nm)} levels"] if volume.levels_nm and len(volume.levels_nm) > 1 else []
    if volume.labelled:
        known = volume.labelled_fraction
        parts.append("labelled" if known is None or known >= 1 else f"{100 * known:.3g} % labelled")
    else:
        parts.append("no labels")
    return ", ".join(parts)


def _voxel_size(fingerprint: Fingerprint) -> str:
    told = f"{times(fingerprint.voxel_size_nm)} nm (z, y, x)"
    if fingerprint.anisotropy < LEAST_ANISOTROPY:
        return f"{told}, isotropic"
    return f"{told}, anisotropy {fingerprint.anisotropy:.1f}, cut along {AXES[fingerprint.cutting_axis]}"


def _intensity(facts: IntensityFacts) -> str:
    parts = [f"mean {facts.mean:.4g}, deviation {facts.std:.3g}"]
    if {"p0_5", "p99_5"} <= facts.percentiles.keys():
        parts.append(f"99 % within {facts.percentiles['p0_5']:.4g} to {facts.percentiles['p99_5']:.4g}")
    if facts.noise_std is not None:
        parts.append(f"noise {facts.noise_std:.2g}")
    if facts.inverted is not None:
        parts.append("bright membranes" if facts.inverted else "dark membranes")
    if facts.padding_value is not None and facts.padding_fraction:
        parts.append(f"{100 * facts.padding_fraction:.3g} % padding of {facts.padding_value:g}")
    if facts.saturated_fraction is not None and facts.saturated_fraction >= 0.001:
        parts.append(f"{100 * facts.saturated_fraction:.3g} % saturated")
    return ", ".join(parts)


def _sections(facts: SectionFacts) -> list[Row]:
    parts = []
    if facts.correlation:
        parts.append(f"correlation with the next {facts.correlation['p50']:.2f}")
    if facts.shift_nm:
        parts.append(f"shift {facts.shift_nm['p50']:.0f} nm (p95 {facts.shift_nm['p95']:.0f})")
    if facts.mean_drift is not None:
        parts.append(f"brightness drifts by {facts.mean_drift:.2f} deviations")
    kinds = {"blank": facts.missing_rate, "repeated": facts.duplicate_rate, "shifted": facts.shifted_rate}
    kinds |= {"dark": facts.dark_rate, "bright": facts.bright_rate, "blurred": facts.blurred_rate}
    rates = [f"{100 * rate:.2g} {kind}" for kind, rate in kinds.items() if rate]
    if rates:
        parts.append(f"of 100 sections {', '.join(rates)}")
    elif all(rate is not None for rate in kinds.values()):
        parts.append("none stands out")
    return [("sections", ", ".join(parts))]


def _labels(facts: LabelFacts, names: Mapping[int, str]) -> list[Row]:
    parts = [f"{facts.coverage} {facts.kind}" if facts.coverage and facts.kind != "skeletons" else facts.kind]
    if facts.ids is not None:
        span = f" ({facts.id_range[0]} to {facts.id_range[1]})" if facts.id_range and facts.ids > 1 else ""
        parts.append(f"{facts.ids} {'ids' if facts.ids > 1 else 'id'}{span}")
    if facts.components is not None:
        parts.append(f"{facts.components} components")
    if facts.foreground_fraction is not None:
        parts.append(_share(facts.foreground_fraction, "foreground"))
    if facts.unlabeled_fraction:
        parts.append(_share(facts.unlabeled_fraction, "unlabeled"))
    rows = [("labels", ", ".join(parts)), ("values", _values(facts.values, names))]
    return [*rows, ("objects", _sizes(facts.instances)), ("", _shapes(facts.instances))]


def _skeletons(facts: SkeletonFacts) -> str:
    parts = [f"{facts.count}"] if facts.count is not None else []
    if facts.length_nm:
        low, middle, high = (facts.length_nm[p] / 1000 for p in ("p10", "p50", "p90"))
        parts.append(f"{middle:.3g} µm long ({low:.3g} to {high:.3g})")
    if facts.total_length_nm is not None:
        parts.append(f"{facts.total_length_nm / 1000:.4g} µm together")
    if facts.labelled_fraction is not None:
        parts.append(_share(facts.labelled_fraction, "in the labelled part"))
    return ", ".join(parts)


def _share(fraction: float, of: str) -> str:
    return f"{100 * fraction:.3g} % {of}"


def _values(values: Mapping[int, float | None] | None, names: Mapping[int, str]) -> str:
    told = [
        f"{value}{f' ({names[value]})' if value in names else ''}: {100 * share:.3g} %"
        for value, share in (values or {}).items()
        if share is not None
    ]
    more = [f"and {len(told) - MOST_VALUES} more"] if len(told) > MOST_VALUES else []
    return ", ".join(told[:MOST_VALUES] + more)


def _sizes(facts: InstanceFacts) -> str:
    parts = []
    if facts.diameter_nm:
        low, middle, high = (facts.diameter_nm[p] for p in ("p10", "p50", "p90"))
        parts.append(f"{middle:.0f} nm wide ({low:.0f} to {high:.0f})")
    if facts.extent_nm:
        parts.append(f"{facts.extent_nm['p50']:.0f} nm long (p95 {facts.extent_nm['p95']:.0f})")
    if facts.elongation:
        parts.append(f"elongation {facts.elongation['p50']:.1f}")
    if facts.solidity is not None:
        parts.append(f"solidity {facts.solidity:.2f}")
    return ", ".join(parts)


def _shapes(facts: InstanceFacts) -> str:
    parts = []
    if facts.touching_fraction is not None:
        parts.append(f"{100 * facts.touching_fraction:.3g} % of the surface touches another id")
    if facts.gap_nm:
        parts.append(f"gaps {facts.gap_nm:.0f} nm")
    shares = {"cut by the border": facts.border_fraction, "of the ids broken": facts.broken_fraction, "tiny": facts.tiny_fraction}
    return ", ".join(parts + [f"{100 * share:.3g} % {what}" for what, share in shares.items() if share])

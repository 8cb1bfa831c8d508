"""What published methods chose, and whether a plan lies in the bands around it. plans/experts.yaml holds the facts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, Self

from pydantic import Field, model_validator

from pytc_auto.geometry import AXES, Zyx
from pytc_auto.schema.document import Document, Part
from pytc_auto.schema.plan import Plan

ALL_SYMMETRIES = 48
SYMMETRIES_IN_PLANE = (8, 16)
"""Turns and flips in the plane; with flips along the cutting axis."""
DEEP = 100
ALIKE = 1.25
"""Extents in nm are alike up to this ratio."""
ROUNDING = 1e-6
WEIGHTED = frozenset({"dice_ce", "dice_balanced_bce"})
"""Losses of Dice and a weighted cross entropy."""


class Method(Part):
    """What one published method chose on a data set."""

    plan: str
    method: str
    voxel_size_nm: tuple[float, float, float]
    patch: Zyx | None
    strides: list[Zyx] | None = Field(description="from stage to stage, fine to coarse")
    targets: str
    decoder: str | None
    sources: list[str] = Field(min_length=1)


class Band(Part):
    """Where a plan's patch and strides should lie; both ends are inside, in voxels as stored."""

    name: str
    plan: str
    patch_z: tuple[int, int]
    patch_xy: tuple[int, int]
    z_pooling: Literal["never", "none or last", "none or late", "early", "equal"]


class Experts(Document):
    """plans/experts.yaml."""

    format_version: Literal[1]
    sources: dict[str, str]
    methods: list[Method]
    bands: list[Band]
    wanted: dict[str, list[str]] = Field(description="what a plan must have, by plan")
    mistakes: dict[str, list[str]] = Field(description="what it must not have")
    unseen: dict[str, list[str]] = Field(description="what it must have but does not show")
    on_purpose: dict[str, dict[str, str]] = Field(description="why a plan leaves a band, by plan and item")

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        judged = {band.plan for band in self.bands}
        faults = [f"{m.method} has the unknown source {s}" for m in self.methods for s in m.sources if s not in self.sources]
        for title, lists, known in [("wanted", self.wanted, WANTED), ("mistakes", self.mistakes, MISTAKES)]:
            faults += [
                f"{title} has {item!r}, known: {', '.join(known)}" for v in lists.values() for item in v if item not in known
            ]
        for title, plans in [("wanted", self.wanted), ("mistakes", self.mistakes), ("unseen", self.unseen)]:
            faults += [f"{title} has {plan}, which has no band" for plan in plans if plan not in judged]
        if faults:
            raise ValueError("; ".join(faults))
        return self


@dataclass(frozen=True)
class Judgment:
    """One item of a plan against its band."""

    item: str
    band: str
    ours: str
    inside: bool
    reason: str


@dataclass(frozen=True)
class _Check:
    """What is asked, what a plan has of it, and whether that is right."""

    asked: str
    told: Callable[[Plan], str]
    holds: Callable[[Plan], bool]


def judge(plan: Plan, band: Band, experts: Experts) -> list[Judgment]:
    """All items of a band, in the order of the table."""
    reasons = experts.on_purpose.get(plan.name, {})
    asked, fits = _POOLINGS[band.z_pooling]
    found = [
        ("patch z", *_extent(plan, band.patch_z, [0])),
        ("patch xy", *_extent(plan, band.patch_xy, [1, 2])),
        ("z pooling", asked, compact(plan.network.strides[1:]), fits(plan.network.strides[1:])),
    ]
    found += [(i, (c := WANTED[i]).asked, c.told(plan), c.holds(plan)) for i in experts.wanted.get(plan.name, [])]
    found += [
        (i, f"not: {(c := MISTAKES[i]).asked}", c.told(plan), not c.holds(plan)) for i in experts.mistakes.get(plan.name, [])
    ]
    return [Judgment(item, asked, ours, inside, reasons.get(item, "")) for item, asked, ours, inside in found]


def _extent(plan: Plan, band: tuple[int, int], axes: Sequence[int]) -> tuple[str, str, bool]:
    """A patch against a band, in nm, because the plan may work on a coarser grid than is stored."""
    ours = {plan.patch[i] * plan.working_voxel_size_nm[i] for i in axes}
    low, high = (n * plan.voxel_size_nm[axes[0]] for n in band)
    inside = low * (1 - ROUNDING) <= min(ours) and max(ours) <= high * (1 + ROUNDING)
    voxels = ", ".join(str(plan.patch[i]) for i in axes[: len(ours)])
    nm = ", ".join(f"{n:.0f}" for n in sorted(ours))
    return f"{band[0]}–{band[1]} ({low:.0f}–{high:.0f} nm)", f"{voxels} ({nm} nm)", inside


def compact(strides: Sequence[Zyx]) -> str:
    """Strides from stage to stage, equal neighbors counted: ``1·2·2 ×2, 2·2·2``."""
    runs: list[tuple[Zyx, int]] = []
    for stride in strides:
        again = bool(runs) and runs[-1][0] == stride
        runs[-1:] = [(stride, runs[-1][1] + 1)] if again else [*runs[-1:], (stride, 1)]
    return ", ".join("·".join(map(str, s)) + (f" ×{n}" if n > 1 else "") for s, n in runs) or "none"


def _plane_pools_before_z(strides: Sequence[Zyx]) -> int | None:
    """How often the plane is pooled alone before z is; None if z never is."""
    return next((number for number, stride in enumerate(strides) if stride[0] > 1), None)


def _late(strides: Sequence[Zyx]) -> bool:
    before = _plane_pools_before_z(strides)
    return before is None or before >= 2


def _plane_alone(strides: Sequence[Zyx]) -> int:
    return sum(s[0] == 1 and max(s) > 1 for s in strides)


def _equal(strides: Sequence[Zyx]) -> bool:
    return all(len(set(s)) == 1 for s in strides)


def _never(strides: Sequence[Zyx]) -> bool:
    return _plane_pools_before_z(strides) is None


_POOLINGS: MappingProxyType[str, tuple[str, Callable[[Sequence[Zyx]], bool]]] = MappingProxyType(
    {
        "never": ("never", _never),
        "none or last": ("none, or at the last stage", lambda strides: _never(strides[:-1])),
        "none or late": ("none, or after 2 poolings of the plane", _late),
        "early": ("yes, the plane alone once at most", lambda strides: not _never(strides) and _plane_alone(strides) <= 1),
        "equal": ("yes, all axes alike", _equal),
    }
)


def _symmetries(plan: Plan) -> str:
    return f"{plan.augmentation.symmetries} symmetries"


def _section_effects(plan: Plan) -> str:
    effects = plan.augmentation.effects
    names = {"shift": effects.section_shift, "missing": effects.missing_section, "intensity": effects.section_intensity}
    return ", ".join(name for name, effect in names.items() if effect) or "none"


def _affinities(plan: Plan) -> str:
    return f"{len(plan.offsets)} affinities"


def _eroded_nm(plan: Plan) -> float:
    return plan.labels.erode_nm if plan.labels.kind == "instances" else 0.0


def _share(plan: Plan) -> str:
    return f"{plan.sampling.foreground_share:g} of the crops"


def _heads(plan: Plan) -> str:
    return ", ".join(head.kind for head in plan.heads)


def _losses(plan: Plan) -> str:
    return ", ".join(sorted({head.loss for head in plan.heads}))


def _strides(plan: Plan) -> str:
    return compact(plan.network.strides[1:])


def _decoders(plan: Plan) -> str:
    return ", ".join(plan.decoder.kinds)


def _turns(plan: Plan) -> tuple[float, float, float]:
    affine = plan.augmentation.effects.affine
    return affine.rotation_degrees if affine else (0.0, 0.0, 0.0)


def _isotropic_at_once(plan: Plan) -> bool:
    extents = [n * s for n, s in zip(plan.patch, plan.working_voxel_size_nm, strict=True)]
    return len(set(plan.network.strides[1])) == 1 and max(extents) > ALIKE * min(extents)


WANTED: MappingProxyType[str, _Check] = MappingProxyType(
    {
        "turns in the plane only": _Check(
            "8 or 16 symmetries", _symmetries, lambda plan: plan.augmentation.symmetries in SYMMETRIES_IN_PLANE
        ),
        "all turns and flips": _Check(
            "48 symmetries, z exchanged with the plane", _symmetries, lambda plan: plan.augmentation.symmetries == ALL_SYMMETRIES
        ),
        "section defects": _Check(
            "shifted and missing sections",
            _section_effects,
            lambda plan: bool(plan.augmentation.effects.section_shift and plan.augmentation.effects.missing_section),
        ),
        "no section defects": _Check("none needed", _section_effects, lambda plan: _section_effects(plan) == "none"),
        "affinities": _Check("affinities", _heads, lambda plan: bool(plan.offsets)),
        "twelve affinities": _Check("12, long ones included", _affinities, lambda plan: len(plan.offsets) >= 12),
        "eroded labels": _Check(
            "1 voxel or more",
            lambda plan: f"{_eroded_nm(plan):g} nm",
            lambda plan: _eroded_nm(plan) >= min(plan.working_voxel_size_nm) * (1 - ROUNDING),
        ),
        "tuned threshold": _Check(
            "chosen on validation data",
            lambda plan: f"{len(plan.decoder.grid.get('threshold', []))} thresholds tried",
            lambda plan: len(plan.decoder.grid.get("threshold", [])) > 1,
        ),
        "run length": _Check(
            "normalized expected run length", lambda plan: plan.decoder.metric, lambda plan: str(plan.decoder.metric) == "nerl"
        ),
        "classes": _Check("a semantic target", _heads, lambda plan: any(head.kind == "classes" for head in plan.heads)),
        "drawn around foreground": _Check(
            "biased to foreground (PyTC refuses 0.95 of the empty crops)",
            _share,
            lambda plan: plan.sampling.foreground_share >= 0.5,
        ),
        "distance or weighted BCE and Dice": _Check(
            "signed distance, or weighted BCE and Dice",
            _losses,
            lambda plan: any(head.loss in WEIGHTED for head in plan.heads),
        ),
    }
)
MISTAKES: MappingProxyType[str, _Check] = MappingProxyType(
    {
        "deep patch": _Check(
            f"more than {DEEP} sections", lambda plan: f"{plan.patch[0]} sections", lambda plan: plan.patch[0] > DEEP
        ),
        "isotropic at once": _Check("2·2·2 from the start, unless the patch is isotropic in nm", _strides, _isotropic_at_once),
        "taken as isotropic": _Check("all axes pooled alike", _strides, lambda plan: _equal(plan.network.strides)),
        "plane pooled alone": _Check("poolings such as 1·2·2", _strides, lambda plan: _plane_alone(plan.network.strides) > 0),
        "axes mistaken": _Check(
            "x read as z", lambda plan: f"{AXES[plan.cutting_axis]} is the coarsest", lambda plan: plan.cutting_axis != 0
        ),
        "instance decoder": _Check("instances decoded", _decoders, lambda plan: plan.decoder.kinds != ["argmax"]),
        "plane only": _Check(
            "turns in the plane only",
            lambda plan: f"{_symmetries(plan)}, turns of {'·'.join(f'{t:g}' for t in _turns(plan))}°",
            lambda plan: plan.augmentation.symmetries < ALL_SYMMETRIES and not any(_turns(plan)[1:]),
        ),
        "uniform sampling": _Check("crops drawn uniformly", _share, lambda plan: plan.sampling.foreground_share == 0),
    }
)

"""Make plans/NAME.yaml from every fingerprints/NAME.json, for the fixed machine M, and plans/README.md, the table of them.

A changed rule shows in the diff.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from judge import Experts, Judgment, Method, compact, judge

from pytc_auto.files import write_whole
from pytc_auto.geometry import Zyx
from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.planner import make_plan
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.heads import Head
from pytc_auto.schema.plan import Plan

HERE = Path(__file__).resolve().parent
PAGE = HERE / "README.md"
EXPERTS = HERE / "experts.yaml"
GIGABYTE = 1e9
OURS = (
    "data set",
    "voxel, nm",
    "patch",
    "patch, nm",
    "network, features",
    "strides from stage to stage",
    "targets",
    "decoder",
    "memory, GB",
)
BESIDE = ("data set", "method", "voxel, nm", "patch", "patch, nm", "strides from stage to stage", "targets", "decoder", "from")
JUDGED = ("data set", "what", "the band", "ours", "verdict", "why we leave it on purpose")


OPENING = """\
# Plans

What the planner makes of each fingerprint for the fixed machine M (24 GB, CUDA). `make gallery` writes this page and the plans.
All triples are z, y, x. A patch and its strides are in voxels of the working grid, which may be coarser than what is stored.
Strides `1·2·2 ×2, 2·2·2` mean: twice the plane alone, then all axes.

## Ours"""
METHODS = """\
## Beside published methods

Patches as the network gets them in training; – was not read. The facts are in [`experts.yaml`](experts.yaml), their sources
below. No published method was read for {without}."""
BANDS = """\
## Judged

Bands around what those methods chose, in voxels as stored; a patch is compared in nm. The bands are ours, too: they say where
a plan is not far from what worked, not what is best. {count}"""


def main() -> None:
    """Write all plans and the page."""
    plans = {path.stem: make_plan(Fingerprint.load(path), PRESETS["M"]) for path in fingerprints()}
    for name, plan in plans.items():
        plan.save(HERE / f"{name}.yaml")
    write_whole(PAGE, page(plans, Experts.load(EXPERTS)))


def fingerprints() -> list[Path]:
    """Of the data sets of the gallery."""
    return sorted((HERE.parent / "fingerprints").glob("*.json"))


def page(plans: Mapping[str, Plan], experts: Experts) -> str:
    """The text of plans/README.md."""
    judgments = {band.name: judge(plans[band.plan], band, experts) for band in experts.bands}
    links = {band.name: band.plan for band in experts.bands}
    rows = [(f"[{name}]({links[name]}.yaml)", *_judged(j)) for name, found in judgments.items() for j in found]
    unseen = "; ".join(f"{plan}: {', '.join(items)}" for plan, items in experts.unseen.items())
    without = ", ".join(name for name in plans if name not in {m.plan for m in experts.methods})
    parts = [
        OPENING,
        _table(OURS, (_ours(plan) for plan in plans.values())),
        METHODS.format(without=without),
        _table(BESIDE, _beside(plans, experts.methods)),
        BANDS.format(count=_count(judgments)),
        _table(JUDGED, rows),
        f"Also asked for, but nothing that a plan shows: {unseen}.",
        "## Sources",
        _table(("name", "where"), ((name, f"`{where}`") for name, where in experts.sources.items())),
    ]
    return "\n\n".join(parts) + "\n"


def _count(judgments: Mapping[str, Sequence[Judgment]]) -> str:
    """How many items lie outside, in a sentence."""
    every = [j for found in judgments.values() for j in found]
    outside = [j for j in every if not j.inside]
    return f"Of {len(every)} items {len(outside)} lie outside, {sum(bool(j.reason) for j in outside)} of them on purpose."


def _ours(plan: Plan) -> list[str]:
    network, decoder = plan.network, " or ".join(plan.decoder.kinds)
    *extent, strides = _geometry(plan)
    built = f"{network.kind}, {network.features[0]}–{network.features[-1]}"
    told = [targets(plan.heads), decoder, f"{plan.memory.bytes / GIGABYTE:.1f}"]
    return [f"[{plan.name}]({plan.name}.yaml)", *extent, built, strides, *told]


def _geometry(plan: Plan) -> list[str]:
    """Voxel size, patch in voxels and nm, strides."""
    size = plan.working_voxel_size_nm
    coarser = f" (stored {_triple(plan.voxel_size_nm)})" if set(plan.working_scale) != {1} else ""
    extent = [n * s for n, s in zip(plan.patch, size, strict=True)]
    return [_triple(size) + coarser, _triple(plan.patch), _rounded(extent), compact(plan.network.strides[1:])]


def _beside(plans: Mapping[str, Plan], methods: Sequence[Method]) -> Iterable[list[str]]:
    """For each data set with a method: our plan, then the methods."""
    for name, plan in plans.items():
        known = [m for m in methods if m.plan == name]
        if known:
            yield [
                name,
                f"**ours**, {plan.network.kind}",
                *_geometry(plan),
                targets(plan.heads),
                " or ".join(plan.decoder.kinds),
                "",
            ]
        yield from (_method(m) for m in known)


def _method(method: Method) -> list[str]:
    size, patch = method.voxel_size_nm, method.patch
    extent = _rounded([n * s for n, s in zip(patch, size, strict=True)]) if patch else "–"
    strides = "–" if method.strides is None else compact(method.strides)
    shape = [_triple(size), _triple(patch) if patch else "–", extent, strides]
    return ["", method.method, *shape, method.targets, method.decoder or "–", ", ".join(method.sources)]


def _judged(judgment: Judgment) -> list[str]:
    verdict = "inside" if judgment.inside else "**outside**"
    return [judgment.item, judgment.band, judgment.ours, verdict, judgment.reason]


def targets(heads: Sequence[Head]) -> str:
    """What the network learns, in a few words: ``9 affinities: 1, 4, 12``."""
    parts = []
    for head in heads:
        if head.kind == "affinities":
            parts.append(f"{head.channels} affinities: {_steps([(o[0], o[1], o[2]) for o in head.offsets])}")
        elif head.kind == "classes":
            parts.append(f"{head.channels} classes")
        else:
            parts.append(head.kind + (f" {head.width_nm:g} nm" if head.width_nm else ""))
    return ", ".join(parts)


def _steps(offsets: Sequence[Zyx]) -> str:
    """How far affinities reach on each axis; axes that reach as far are told together; slanted ones in full."""
    straight = {
        axis: sorted({abs(o[i]) for o in offsets if o[i] and not any(o[:i] + o[i + 1 :])}) for i, axis in enumerate("zyx")
    }
    groups: dict[tuple[int, ...], str] = {}
    for axis, steps in straight.items():
        if steps:
            groups[tuple(steps)] = groups.get(tuple(steps), "") + axis
    told = [("" if axes == "zyx" else f"{axes} ") + ", ".join(map(str, steps)) for steps, axes in groups.items()]
    slanted = [_triple(o) for o in offsets if sum(map(bool, o)) > 1]
    return "; ".join(told + slanted).replace("yx ", "xy ")


def _triple(values: Sequence[float]) -> str:
    return "·".join(f"{v:g}" for v in values)


def _rounded(values: Sequence[float]) -> str:
    return "·".join(f"{v:.0f}" for v in values)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join([_line(head), _line(["---"] * len(head)), *map(_line, rows)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()

"""Where the decisions of a plan contradict each other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pytc_auto.geometry import AXES, Zyx
from pytc_auto.schema.network import LEAST_SUPERVISED

if TYPE_CHECKING:
    from pytc_auto.schema.heads import Head
    from pytc_auto.schema.inference_v1 import V1Inference
    from pytc_auto.schema.network import Network
    from pytc_auto.schema.plan import Decoder, Inference, Labels, Why

DECODES: Mapping[str, frozenset[str]] = {
    "agglomerate": frozenset({"affinities"}),
    "mutex": frozenset({"affinities"}),
    "seeded": frozenset({"foreground", "boundary"}),
    "argmax": frozenset({"classes"}),
    "polarity": frozenset({"polarity"}),
}
"""The heads that each kind of decoder reads, all of them."""
COMPONENTS = ("foreground", "affinities", "signed_distance", "skeleton_distance", "boundary", "v1")
"""The heads of which the decoder components reads one, in the order of preference."""
EITHER = frozenset({"foreground", "v1"})
"""Heads that go with labels of instances and of classes; the first class is no foreground."""
DISTANCES = frozenset({"signed_distance", "skeleton_distance"})
"""Heads that the seeded decoder reads, too, where a plan has one."""


def disagreements(values: Mapping[str, Any], fields: Collection[str], undecided: Collection[str]) -> list[str]:
    """Name what does not go together, each with the path of a field that would mend it.

    Args:
        values: The fields of a plan that are valid in themselves, by name.
        fields: All fields that a plan has.
        undecided: Those that need no reason.
    """
    given = values.get
    faults: list[str] = []
    if (patch := given("patch")) is not None:
        faults += _patch(patch, given("network"), given("heads"))
    if (network := given("network")) is not None:
        faults += _network(network, patch, given("inference"))
    if (inference := given("inference")) is not None:
        faults += [*_inference(inference, given("heads")), *_zoom(inference, given("working_scale"))]
    if (heads := given("heads")) is not None:
        faults += _heads(heads, given("labels"), given("decoder"))
    if given("auxiliary") and (labels := given("labels")) is not None and labels.kind == "classes":
        faults.append("auxiliary: shape descriptors are of instances, labels are of kind classes. Use []")
    if (why := given("why")) is not None:
        faults += _why(why, fields, undecided)
    return faults


def _patch(patch: Zyx, network: Network | None, heads: list[Head] | None) -> Iterator[str]:
    for axis, n, d in zip(AXES, patch, network.divisor if network else (1, 1, 1), strict=True):
        if n % d:
            fitting = f"Use {max(d, n // d * d)} or {(n // d + 1) * d}, or pool {axis} less"
            yield f"patch: patch is {n} voxels on {axis}, but network.strides divide {axis} by {d}. {fitting}"
    for number, head in enumerate(heads or []):
        for place, offset in enumerate(head.offsets if head.kind == "affinities" else []):
            if any(abs(i) >= n for i, n in zip(offset, patch, strict=True)) or not any(offset):
                where = f"heads.{number}.offsets.{place}"
                yield f"{where}: offset {list(offset)} reaches outside the patch {list(patch)}, or nowhere. Use a step within it"


def _network(network: Network, patch: Zyx | None, inference: Inference | V1Inference | None) -> Iterator[str]:
    if inference is not None and inference.blending == "gaussian" and inference.window > 1 and network.one_extent:
        told = f"{network.kind} knows windows of its patch only, window is {inference.window}"
        yield f"inference.window: {told}. Use 1, or another network.kind"
    if patch is not None and network.deep_supervision and not network.supervised(patch):
        told = f"no stage but the finest has {LEAST_SUPERVISED} voxels on each axis that is pooled"
        yield f"network.deep_supervision: {told}, patch is {list(patch)}. Use false, or a larger patch or more stages"


def _zoom(inference: Inference | V1Inference, scale: Zyx | None) -> Iterator[str]:
    """A volume is brought to the working grid in one way."""
    if scale not in (None, (1, 1, 1)) and any(n != 1 for n in getattr(inference, "zoom", ())):
        yield f"working_scale is {list(scale or ())}, and inference.zoom is not 1. Use [1, 1, 1] for one of the two"


def _inference(inference: Inference | V1Inference, heads: list[Head] | None) -> Iterator[str]:
    if inference.blending != "gaussian" and heads is not None and len(inference.activations) != len(heads):
        told = f"has {len(inference.activations)} values, heads has {len(heads)}"
        yield f"inference.activations: {told}. Give one activation a head"


def _heads(heads: list[Head], labels: Labels | None, decoder: Decoder | None) -> Iterator[str]:
    for number, head in enumerate(heads):
        if labels is None:
            break
        if head.kind not in EITHER and (head.kind == "classes") != (labels.kind == "classes"):
            yield f"heads.{number}.kind: kind {head.kind} does not go with labels of kind {labels.kind}. Change one of the two"
        if head.kind == "classes" and labels.kind == "classes" and head.channels != len(labels.values):
            wanted = len(labels.values)
            yield f"heads.{number}.class_weights: has {head.channels} values, labels.values has {wanted}. Give one weight a class"
    kinds = {head.kind for head in heads}
    if kinds == {"flow"}:
        told = "flow alone tells which way an instance's center lies, not where instances are, and no decoder can do with that"
        yield f"heads: {told}. Add a foreground or an affinities head"
        return
    for kind in decoder.kinds if decoder else []:
        if not reads(kind, kinds):
            needed = " or ".join(COMPONENTS) if kind == "components" else " and ".join(sorted(DECODES[kind]))
            known = [k for k in DECODES if reads(k, kinds)] or ["components"] * reads("components", kinds)
            told = f"{kind} reads {needed}, heads has {', '.join(sorted(kinds))}"
            yield f"decoder.kinds: {told}. Use {' or '.join(known) or 'other heads'}"
    if decoder and decoder.metric == "nerl" and ("polarity" in kinds or (labels is not None and labels.kind == "classes")):
        told = "nerl is of neurons with skeletons, the plan is for other things"
        yield f"decoder.metric: {told}. Use {'ap' if 'polarity' in kinds else 'dice'}"
    if decoder and "distance_threshold" in decoder.grid and not kinds & DISTANCES:
        yield "decoder.grid: distance_threshold is of a distance, heads has none. Remove it, or add a signed_distance head"


def reads(decoder: str, heads: Collection[str]) -> bool:
    """Whether a kind of decoder finds what it reads among kinds of heads."""
    return any(kind in heads for kind in COMPONENTS) if decoder == "components" else set(heads) >= DECODES[decoder]


def _why(why: Mapping[str, Why], fields: Collection[str], undecided: Collection[str]) -> Iterator[str]:
    explained = {key.split(".")[0] for key in why}
    for name in fields:
        if name not in explained and name not in undecided:
            yield f"why.{name}: why has no entry for {name}. Add {name}: {{rule: by hand, numbers: {{}}}}"
    for name in sorted(explained - set(fields)):
        yield f"why.{name}: why explains unknown fields: {name}. Remove it"

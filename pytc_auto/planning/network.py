"""The network for a patch: kind, topology, width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pytc_auto.errors import PlanError
from pytc_auto.geometry import Zyx, ZyxFloat, zyx
from pytc_auto.planning.by_hand import ByHand
from pytc_auto.planning.network_v1 import plan_v1
from pytc_auto.planning.topology import Topology, choose_topology, halving_topology
from pytc_auto.schema.document import check_field
from pytc_auto.schema.network import TRAITS, Network
from pytc_auto.schema.plan import Machine, Plan

LEAST_MEMORY_GB: Mapping[str, float] = MappingProxyType({"mednext": 24.0, "resenc": 8.0, "unet": 0.0})
"""Kinds from the most demanding on, each with the memory from which it is tried."""
LEAST_STEPS: Mapping[str, int] = MappingProxyType({"mednext": 50000, "resenc": 20000, "unet": 0})
"""Fewer do not train such a network."""
START_WIDTH = MappingProxyType({"cpu": 16, "cuda": 32})
MOST_FEATURES = MappingProxyType({"cpu": 8, "cuda": 10})
"""Features grow with each stage up to this multiple of the first stage's."""
BLOCKS: Mapping[str, Sequence[int]] = MappingProxyType(
    {
        "unet": (2,),
        "resenc": (1, 3, 4, 6),
        "dynunet": (2,),
        "segresnet": (1, 2, 2, 4),
        "swin_unetr": (1, 2, 2, 2, 2, 1),
        "unetr": (1, 1, 1, 1, 12),
        "dints": (1, 6),
    }
)
"""Per stage, nnU-Net's and MONAI's; coarser stages have as many as the last."""
PUBLISHED_STAGES: Mapping[str, int] = MappingProxyType({"segresnet": 4, "dints": 4})
"""Features double with each, so that more would have more weights than can be learned."""
UNETR_HIDDEN, UNETR_MOST_HIDDEN = 48, 768
"""Features of a UNETR's transformer, in multiples of the first stage's, and at most."""
ANISOTROPIC_FROM = 2.0
"""Voxels so much longer on one axis than on another are not pooled alike (nnU-Net's rule)."""
MEDNEXT: Mapping[str, tuple[Sequence[int], Sequence[int]]] = MappingProxyType(
    {"S": ((2,), (2,)), "B": ((2,), (2, 3, 4)), "M": ((3, 4), (2, 3, 4)), "L": ((3, 4, 8), (3, 4, 8))}
)
"""Blocks and expansion per stage of the sizes of Roy et al. 2023; coarser stages have as many as the last."""
MEDNEXT_L_FROM_GB = 40.0
PER_STAGE = ("features", "strides", "kernels", "blocks", "expansion")


@dataclass(frozen=True)
class Candidate:
    """A patch and the network that goes with it.

    Attributes:
        ruled: The network as it would be if nothing were given by hand.
    """

    patch: Zyx
    network: Network
    ruled: Network


def kinds(machine: Machine, by_hand: ByHand) -> list[str]:
    """Kinds to try that can have the strides given by hand, the most demanding first; a CPU trains a plain U-Net.

    Raises:
        PlanError: The kind given by hand is not known, or the strides are not valid.
    """
    given = by_hand.get("network", "kind")
    if given is not None:
        if given not in TRAITS:
            raise PlanError(f"override: network.kind: there is no kind {given!r}. Known: {', '.join(TRAITS)}.")
        return [given]
    if machine.device == "cpu":
        return ["unet"]
    widest = max((step for stride in _strides(by_hand) or () for step in stride), default=1)
    able = [kind for kind in LEAST_MEMORY_GB if widest <= (TRAITS[kind].most_stride or widest)]
    return [kind for kind in able if machine.memory_gb >= LEAST_MEMORY_GB[kind]]


def fitting(kind: str, voxel_size_nm: ZyxFloat, patches: Sequence[Zyx], by_hand: ByHand) -> list[Zyx]:
    """The patches that a kind of network can divide.

    Raises:
        PlanError: There are none, or the voxels are anisotropic and the kind is not.
    """
    traits = TRAITS[kind]
    able = ", ".join(name for name, other in TRAITS.items() if other.anisotropic and not other.cut_along_z)
    ratio = max(voxel_size_nm) / min(voxel_size_nm)
    if not traits.anisotropic and ratio >= ANISOTROPIC_FROM and by_hand.get("network", "strides") is None:
        size = " x ".join(f"{s:g}" for s in voxel_size_nm)
        raise PlanError(
            f"override: network.kind: {kind} halves all axes alike, but voxels of {size} nm (z, y, x) are {ratio:.1f} times "
            f"as long on one axis as on another. Use {able}; or give network.strides to have it nevertheless."
        )
    if traits.cut_along_z and by_hand.get("network", "strides") is None:
        _refuse_other_cuts(kind, voxel_size_nm, able)
    if by_hand.get("patch") is not None:
        return list(patches)
    found = [patch for patch in patches if min(patch) >= traits.divides_by]
    if not found:
        raise PlanError(
            f"override: network.kind: {kind} needs {traits.divides_by} voxels on each axis, the largest patch here is "
            f"{list(patches[0])}. Use {able}, or larger volumes."
        )
    return found


def candidate(voxel_size_nm: ZyxFloat, patch: Zyx, *, kind: str, width: int, machine: Machine, by_hand: ByHand) -> Candidate:
    """The network for a patch, and the patch rounded to what the network divides; one given by hand stays.

    Raises:
        PlanError: What is given by hand is not valid.
    """
    if TRAITS[kind].cut_along_z:
        stages = _stages(by_hand)
        ruled: Network = plan_v1(kind, voxel_size_nm, patch, width=width, stages=stages, by_hand=by_hand)
    else:
        ruled = _network(_topology(kind, voxel_size_nm, patch, by_hand), kind, width, machine)
    network = by_hand.applied("network", ruled)
    if by_hand.get("patch") is None:
        patch = network.fitted(patch)
    return Candidate(patch, network, ruled)


def _topology(kind: str, voxel_size_nm: ZyxFloat, patch: Zyx, by_hand: ByHand) -> Topology:
    """Strides and kernels as the kind can have them."""
    stages, traits = _stages(by_hand), TRAITS[kind]
    if traits.anisotropic:
        return choose_topology(voxel_size_nm, patch, strides=_strides(by_hand), stages=stages)
    least, most = traits.least_stages, traits.most_stages or PUBLISHED_STAGES[kind]
    return halving_topology(patch, stages or least, stages or most)


def _refuse_other_cuts(kind: str, voxel_size_nm: ZyxFloat, able: str) -> None:
    """Voxels that differ in the plane, or are longest in it."""
    z, y, x = voxel_size_nm
    if max(y, x) >= ANISOTROPIC_FROM * min(y, x) or min(y, x) >= ANISOTROPIC_FROM * z:
        size = " x ".join(f"{s:g}" for s in voxel_size_nm)
        raise PlanError(
            f"override: network.kind: {kind} takes y and x alike, and z as them or as coarser, but voxels are of {size} nm "
            f"(z, y, x). Use {able}; or give network.strides to have it nevertheless."
        )


def _strides(by_hand: ByHand) -> list[Zyx] | None:
    given = by_hand.get("network", "strides")
    return None if given is None else [zyx(s) for s in check_field(Network, "strides", given, "override: network")]


def _stages(by_hand: ByHand) -> int | None:
    """As many as the lists that are given have entries."""
    lengths = {name: len(given) for name in PER_STAGE if isinstance(given := by_hand.get("network", name), list)}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {n}" for name, n in lengths.items())
        raise PlanError(f"override: network: one entry per stage is wanted, but {told}. Give lists of one length.")
    return next(iter(lengths.values()), None)


def _network(topology: Topology, kind: str, width: int, machine: Machine) -> Network:
    """By the kind's rule. A mednext is of size S on a CPU, B, or L where memory is ample, and always recomputes its blocks.

    Raises:
        PlanError: The kind cannot have the stages, which may be given by hand.
    """
    stages = len(topology.strides)
    size = "S" if machine.device == "cpu" else "L" if machine.memory_gb >= MEDNEXT_L_FROM_GB else "B"
    blocks, expansion = MEDNEXT[size] if kind == "mednext" else (BLOCKS[kind], None)
    raw = {
        "kind": kind,
        "features": _features(kind, width, stages, MOST_FEATURES[machine.device]),
        "strides": list(topology.strides),
        "kernels": list(topology.kernels),
        "blocks": _per_stage(blocks, stages),
        "expansion": None if expansion is None else _per_stage(expansion, stages),
        "checkpointing": kind == "mednext",
    }
    made: Network = check_field(Plan, "network", raw, "override")
    return made


def _features(kind: str, width: int, stages: int, most: int) -> list[int]:
    """They double up to a multiple of the first stage's, or grow as the kind wants it, from a width that it can have."""
    traits = TRAITS[kind]
    width = max(traits.features_by, width // traits.features_by * traits.features_by)
    if not traits.growth:
        return [width * min(2**i, most) for i in range(stages)]
    grown = [width * times for times in traits.growth[:stages]]
    return [*grown, *[min(UNETR_HIDDEN * width, UNETR_MOST_HIDDEN)] * (stages - len(grown))]


def _per_stage(values: Sequence[int], stages: int) -> list[int]:
    return [*values, *[values[-1]] * stages][:stages]

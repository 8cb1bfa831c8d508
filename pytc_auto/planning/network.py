"""The network for a patch: kind, topology, width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pytc_auto.errors import PlanError
from pytc_auto.geometry import Zyx, ZyxFloat, zyx
from pytc_auto.planning.by_hand import ByHand
from pytc_auto.planning.topology import Topology, choose_topology
from pytc_auto.schema.document import check_field
from pytc_auto.schema.plan import Machine, Network

LEAST_MEMORY_GB: Mapping[str, float] = MappingProxyType({"mednext": 24.0, "resenc": 8.0, "unet": 0.0})
"""Kinds from the most demanding on, each with the memory from which it is tried."""
LEAST_STEPS: Mapping[str, int] = MappingProxyType({"mednext": 50000, "resenc": 20000, "unet": 0})
"""Fewer do not train such a network."""
START_WIDTH = MappingProxyType({"cpu": 16, "cuda": 32})
MOST_FEATURES = MappingProxyType({"cpu": 8, "cuda": 10})
"""Features grow with each stage up to this multiple of the first stage's."""
BLOCKS: Mapping[str, Sequence[int]] = MappingProxyType({"unet": (2,), "resenc": (1, 3, 4, 6)})
"""Per stage, nnU-Net's; coarser stages have as many as the last."""
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
    """Kinds to try, the most demanding first; a CPU trains a plain U-Net.

    Raises:
        PlanError: The kind given by hand is not known.
    """
    given = by_hand.get("network", "kind")
    if given is not None:
        return [check_field(Network, "kind", given, "override: network")]
    if machine.device == "cpu":
        return ["unet"]
    return [kind for kind, least in LEAST_MEMORY_GB.items() if machine.memory_gb >= least]


def candidate(voxel_size_nm: ZyxFloat, patch: Zyx, *, kind: str, width: int, machine: Machine, by_hand: ByHand) -> Candidate:
    """The network for a patch, and the patch rounded to what the network divides; one given by hand stays.

    Raises:
        PlanError: What is given by hand is not valid.
    """
    given = by_hand.get("network", "strides")
    strides = None if given is None else [zyx(s) for s in check_field(Network, "strides", given, "override: network")]
    topology = choose_topology(voxel_size_nm, patch, strides=strides, stages=_stages(by_hand))
    ruled = _network(topology, kind, width, machine)
    network = by_hand.applied("network", ruled)
    if by_hand.get("patch") is None:
        patch = zyx([max(d, n // d * d) for n, d in zip(patch, network.divisor, strict=True)])
    return Candidate(patch, network, ruled)


def _stages(by_hand: ByHand) -> int | None:
    """As many as the lists that are given have entries."""
    lengths = {name: len(given) for name in PER_STAGE if isinstance(given := by_hand.get("network", name), list)}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {n}" for name, n in lengths.items())
        raise PlanError(f"override: network: one entry per stage is wanted, but {told}. Give lists of one length.")
    return next(iter(lengths.values()), None)


def _network(topology: Topology, kind: str, width: int, machine: Machine) -> Network:
    """By the kind's rule. A mednext is of size S on a CPU, B, or L where memory is ample, and always recomputes its blocks."""
    stages = len(topology.strides)
    size = "S" if machine.device == "cpu" else "L" if machine.memory_gb >= MEDNEXT_L_FROM_GB else "B"
    blocks, expansion = MEDNEXT[size] if kind == "mednext" else (BLOCKS[kind], None)
    return Network(
        kind=kind,
        features=[width * min(2**i, MOST_FEATURES[machine.device]) for i in range(stages)],
        strides=list(topology.strides),
        kernels=list(topology.kernels),
        blocks=_per_stage(blocks, stages),
        expansion=None if expansion is None else _per_stage(expansion, stages),
        checkpointing=kind == "mednext",
    )


def _per_stage(values: Sequence[int], stages: int) -> list[int]:
    return [*values, *[values[-1]] * stages][:stages]

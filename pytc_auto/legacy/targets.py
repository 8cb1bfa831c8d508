"""v1's codes of what a network learns (TARGET_OPT): how many channels each has, and what its parts say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytc_auto.legacy.config import refuse

CHANNELS = {"0": 1, "1": 3, "2": 3, "3": 1, "4": 1, "5": 1, "6": 1, "7": 2}
"""By the code's first letter, where its parts do not tell."""
QUANTIZED = 11
PARTS = {"3": 4, "4": 3, "5": 6}
"""How many parts v1 unpacks of a code that cannot stand alone."""
NATURAL = {"5": "tanh", "6": "tanh", "7": "tanh", "9": "softmax"}
"""The activation that goes with a code, where it is not a sigmoid."""
REST = "all"


@dataclass(frozen=True)
class Target:
    """One entry of TARGET_OPT.

    Attributes:
        code: As written.
        channels: Of the network's output.
        parts: What stands after the first hyphen, divided at hyphens.
    """

    code: str
    channels: int
    parts: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The code's first letter."""
        return self.code[0]

    @property
    def exclusive_sides(self) -> bool:
        """Whether it is the sides of synapses as three classes."""
        return self.kind == "1" and self.parts[:1] not in ((), ("0",))

    @property
    def quantized(self) -> bool:
        """Whether it is a distance in steps of a tenth, as classes."""
        return self.kind == "5" and self.channels == QUANTIZED

    @property
    def natural_activation(self) -> str:
        """What brings its output to 0 … 1, or -1 … 1."""
        return "softmax" if self.exclusive_sides or self.quantized else NATURAL.get(self.kind, "sigmoid")


def read_targets(codes: Sequence[object], out_planes: int, *, flat: bool, where: str) -> list[Target]:
    """The targets of a configuration, whose channels add up to OUT_PLANES where v1 can run it.

    Args:
        codes: TARGET_OPT.
        out_planes: OUT_PLANES, channels of the network.
        flat: Whether it sees single sections (DO_2D); then affinities have two channels.
        where: Names the configuration in errors.

    Raises:
        PlanError: v1 fails with these targets; its own reason is told.
    """
    if not codes:
        refuse(where, "IndexError", "MODEL.TARGET_OPT is empty")
    targets = [_read(code, flat=flat, where=where) for code in codes]
    if targets[-1].code == REST:
        targets[-1] = Target(REST, max(1, out_planes - sum(target.channels for target in targets)), ())
    return targets


def _read(code: object, *, flat: bool, where: str) -> Target:
    if not isinstance(code, str) or not code:
        refuse(where, "AssertionError", f"MODEL.TARGET_OPT must hold texts, got {code!r}")
    if code == REST:
        return Target(code, 0, ())
    kind, parts = code[0], tuple(code.split("-")[1:])
    if kind in PARTS and len(parts) + 1 != PARTS[kind]:
        few = "not enough" if len(parts) + 1 < PARTS[kind] else "too many"
        refuse(where, "ValueError", f"{few} values to unpack (expected {PARTS[kind]}): MODEL.TARGET_OPT {code}")
    if kind not in CHANNELS and kind not in "9I":
        refuse(where, "KeyError", f"'{kind}': MODEL.TARGET_OPT {code} has no channels in v1.0.0")
    return Target(code, _channels(code, kind, parts, flat=flat, where=where), parts)


def _channels(code: str, kind: str, parts: tuple[str, ...], *, flat: bool, where: str) -> int:
    try:
        if kind == "I":
            return int(parts[0]) if parts else 1
        if kind == "9":
            return int(parts[0])
        if kind == "5" and int(parts[2]):
            return QUANTIZED
    except (ValueError, IndexError) as error:
        refuse(where, type(error).__name__, f"{error}: MODEL.TARGET_OPT {code}")
    return 2 if kind == "2" and flat else CHANNELS[kind]

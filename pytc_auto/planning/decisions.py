"""A decision with its reason, as every rule returns it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from pytc_auto.schema.plan import Numbers, Why

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Decision(Generic[T_co]):
    """A value, the rule that made it, and the numbers the rule looked at."""

    value: T_co
    rule: str
    numbers: Numbers

    @property
    def why(self) -> Why:
        """The reason as it stands in the plan."""
        return Why(rule=self.rule, numbers=self.numbers)


def rounded(value: float, digits: int = 3) -> float:
    """A number for the plan: significant digits, so that the last bits of an arithmetic never show."""
    return float(f"{value:.{digits}g}")

"""What becomes of v1's predictions: the decoder that goes with the heads, beginning with v1's own thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

Raw = dict[str, Any]
SMALL = 128.0
"""Voxels under which v1 dropped an object."""

_GRIDS: Mapping[str, tuple[Raw, str]] = MappingProxyType(
    {
        "agglomerate": (
            {"threshold": [0.3, 0.4, 0.5, 0.6, 0.7], "foreground_threshold": [0.0, 0.4], "min_size": [0.0, SMALL]},
            "voi",
        ),
        "argmax": ({"min_size": [0.0, SMALL]}, "dice"),
        "polarity": ({"threshold": [0.3, 0.5, 0.7], "gap_nm": [0.0], "min_size": [0.0, SMALL]}, "ap"),
        "seeded": ({"seed_threshold": [0.1, 0.3, 0.5], "foreground_threshold": [0.5, 0.7, 0.85], "min_size": [SMALL]}, "ap"),
        "components": ({"threshold": [0.5, 0.65, 0.8, 0.9], "min_size": [0.0, SMALL]}, "ap"),
    }
)
_CHOICES: Mapping[str, dict[str, float]] = MappingProxyType(
    {
        "agglomerate": {"threshold": 0.5, "foreground_threshold": 0.4, "min_size": SMALL},
        "argmax": {"min_size": 0.0},
        "polarity": {"threshold": 0.5, "gap_nm": 0.0, "min_size": SMALL},
        "seeded": {"seed_threshold": 0.1, "foreground_threshold": 0.85, "min_size": SMALL},
        "components": {"threshold": 0.8, "min_size": SMALL},
    }
)
"""As v1's ``bc_watershed``, ``binary_connected`` and ``polarity2instance`` had them by default."""


def translate_decoder(heads: Sequence[Raw]) -> tuple[Raw, Raw]:
    """The decoder as a plan has it, and as a model folder has it without any tuning."""
    kinds = {head["kind"] for head in heads}
    kind = next(decoder for decoder, reads in _READS.items() if reads <= kinds)
    grid, metric = _GRIDS[kind]
    choice = dict(_CHOICES[kind])
    if kind == "seeded" and kinds & {"signed_distance", "skeleton_distance"}:
        grid, choice = {**grid, "distance_threshold": [0.0, 0.25, 0.5]}, {**choice, "distance_threshold": 0.0}
    return {"kinds": [kind], "grid": dict(grid), "metric": metric}, {"kind": kind, "parameters": choice}


_READS: Mapping[str, set[str]] = MappingProxyType(
    {
        "argmax": {"classes"},
        "agglomerate": {"affinities"},
        "polarity": {"polarity"},
        "seeded": {"foreground", "boundary"},
        "components": set(),
    }
)
"""In the order of preference."""

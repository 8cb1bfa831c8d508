"""The fixed machines of ``--size``."""

from __future__ import annotations

from types import MappingProxyType

from pytc_auto.schema.plan import Machine

PRESETS = MappingProxyType(
    {
        "S": Machine(memory_gb=8, device="cuda", seconds=None, seconds_per_step=0.03, precision="fp16", source="preset"),
        "M": Machine(memory_gb=24, device="cuda", seconds=None, seconds_per_step=0.015, precision="bf16", source="preset"),
        "L": Machine(memory_gb=80, device="cuda", seconds=None, seconds_per_step=0.006, precision="bf16", source="preset"),
    }
)

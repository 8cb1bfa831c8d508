"""Fingerprints made by hand, for the tests of the planner and of the schema."""

from __future__ import annotations

from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.plan import Machine

CPU = Machine(memory_gb=24, device="cpu", seconds=1800, seconds_per_step=0.35, precision="bf16", source="measured")


def fingerprint(**changes) -> Fingerprint:
    """130 × 250 × 250 voxels of touching neurons at 10 nm; ``changes`` replace facts at any level by name."""
    instances = {
        "diameter_nm": {"p10": 100.0, "p50": 300.0, "p90": 500.0},
        "extent_nm": {"p50": 500.0, "p90": 900.0, "p95": 1000.0},
        "touching_fraction": 0.97,
        "border_fraction": 0.6,
        "solidity": 0.5,
        "gap_nm": 0.0,
    }
    labels = {
        "kind": "instances",
        "values": None,
        "ids": 300,
        "components": 320,
        "foreground_fraction": 1.0,
        "unlabeled_fraction": 0.0,
    }
    volume = {"shape": (130, 250, 250), "dtype": "uint8", "labelled": True, "blank_label_sections": []}
    top = {"name": "sample", "task": None, "voxel_size_nm": (10.0, 10.0, 10.0), "class_names": {}, "unlabeled": []}
    sections = {"mean_drift": 0.1, "missing_rate": 0.0}
    volumes = changes.pop("volumes", 1)
    for group in (instances, labels, volume, top, sections):
        group.update({k: changes.pop(k) for k in list(changes) if k in group})
    assert not changes, changes
    size = top["voxel_size_nm"]
    return Fingerprint.model_validate(
        {
            **top,
            "volumes": [{"name": f"v{i}", "voxel_size_nm": size, **volume} for i in range(volumes)],
            "intensity": {"histogram": None, "percentiles": {"p0_5": 10, "p99_5": 220}, "mean": 120.0, "std": 30.0},
            "sections": sections,
            "labels": {**labels, "instances": instances},
            "sampled_fraction": 1.0,
            "seed": 0,
        }
    )


def mitochondria(**changes) -> Fingerprint:
    """20 thin sections of 576 × 1024 with a mask."""
    facts = {
        "voxel_size_nm": (45.0, 4.6, 4.6),
        "shape": (20, 576, 1024),
        "kind": "mask",
        "values": {0: 0.94, 255: 0.06},
        "ids": 1,
        "foreground_fraction": 0.06,
        "touching_fraction": 0.0,
        "gap_nm": 100.0,
        "diameter_nm": {"p10": 150.0, "p50": 300.0, "p90": 500.0},
        "name": "mitochondria",
    }
    return fingerprint(**{**facts, **changes})

"""Fingerprints and plans made by hand."""

from __future__ import annotations

from pytc_auto.data.folds import Region
from pytc_auto.geometry import Box
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.plan import Machine, Plan

CPU = Machine(memory_gb=24, device="cpu", seconds=1800, seconds_per_step=0.35, precision="bf16", source="measured")
UNMEASURED_INTENSITY = (
    *("histogram", "padding_value", "padding_fraction", "saturated_fraction", "noise_std", "inverted"),
    *("sampled_fraction", "boxes"),
)
UNMEASURED_SECTIONS = (
    *("std_drift", "duplicate_rate", "shifted_rate", "dark_rate", "bright_rate", "blurred_rate"),
    *("correlation", "shift_nm", "sections", "windows_fraction"),
)


def fingerprint(**changes) -> Fingerprint:
    """130 × 250 × 250 voxels of touching neurons at 10 nm; ``changes`` replace facts at any level by name."""
    instances = {
        "volume_nm3": None,
        "elongation": None,
        "broken_fraction": None,
        "tiny_fraction": None,
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
        "coverage": None,
        "id_range": None,
        "ignore_candidates": [],
        "counted_from": None,
        "counted_at_nm": None,
    }
    volume = {"shape": (130, 250, 250), "dtype": "uint8", "labelled": True, "blank_label_sections": []}
    volume |= {
        "channels": 1,
        "chunks": None,
        "levels_nm": [],
        "labels_box": None,
        "labelled_fraction": 1.0,
        "labels_shift_nm": None,
    }
    top = {"name": "sample", "task": None, "voxel_size_nm": (10.0, 10.0, 10.0), "class_names": {}, "unlabeled": []}
    top |= {"provenance": {"kind": "measured", "sources": [], "note": None}}
    sections = {"mean_drift": 0.1, "missing_rate": 0.0, **dict.fromkeys(UNMEASURED_SECTIONS)}
    volumes = changes.pop("volumes", 1)
    for group in (instances, labels, volume, top, sections):
        group.update({k: changes.pop(k) for k in list(changes) if k in group})
    assert not changes, changes
    size = top["voxel_size_nm"]
    return Fingerprint.model_validate(
        {
            **top,
            "volumes": [{"name": f"v{i}", "voxel_size_nm": size, **volume} for i in range(volumes)],
            "intensity": {
                **dict.fromkeys(UNMEASURED_INTENSITY),
                "percentiles": {"p0_5": 10, "p99_5": 220},
                "mean": 120.0,
                "std": 30.0,
            },
            "sections": sections,
            "labels": {**labels, "instances": instances, "sampled_fraction": 1.0},
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


DECIDED = (
    *("task", "working_scale", "labels", "intensity", "patch", "network", "precision", "heads", "sampling"),
    *("augmentation", "optimizer", "folds", "inference", "decoder", "memory"),
)
NO_EFFECTS = dict.fromkeys(("affine", "section_shift", "intensity", "section_intensity", "missing_section", "blur", "noise"))
UNET = {
    "kind": "unet",
    "features": [4, 8],
    "strides": [[1, 1, 1], [2, 2, 2]],
    "kernels": [[3, 3, 3], [3, 3, 3]],
    "blocks": [1, 1],
}
AFFINITIES = {
    "kind": "affinities",
    "offsets": [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [-3, 0, 0], [0, -3, 0], [0, 0, -3]],
    "loss": "balanced_bce",
    "weight": 1.0,
}
FOREGROUND = {"kind": "foreground", "width_nm": 0.0, "loss": "dice_bce", "weight": 1.0}


def small_plan(**fields) -> Plan:
    """A small valid plan, isotropic, with two heads and a network of two stages; ``fields`` replace its own.

    A foreground alone, which no decoder reads, is let through: predicting it is simple.
    """
    raw = {
        "format_version": 1,
        "name": "small",
        "task": "neurons",
        "machine": {
            "memory_gb": 8,
            "device": "cpu",
            "seconds": None,
            "seconds_per_step": 0.1,
            "precision": "fp32",
            "source": "preset",
        },
        "voxel_size_nm": [8.0, 8.0, 8.0],
        "working_scale": [1, 1, 1],
        "labels": {"kind": "instances", "background": [0], "unlabeled": [], "erode_nm": 0.0},
        "intensity": {"clip": [10, 240], "scale": [120.0, 60.0]},
        "patch": [16, 16, 16],
        "network": UNET,
        "precision": "fp32",
        "heads": [AFFINITIES, FOREGROUND],
        "sampling": {
            "batch": 1,
            "accumulate": 1,
            "steps": 10,
            "validate_every": 4,
            "refit_steps": 0,
            "foreground_share": 0.0,
            "seed": 7,
        },
        "augmentation": {"symmetries": 1, "effects": NO_EFFECTS},
        "optimizer": {
            "kind": "adamw",
            "learning_rate": 1e-3,
            "weight_decay": 0.0,
            "schedule": "cosine",
            "warmup_steps": 0,
            "clip_norm": 1.0,
            "ema": 0.9,
        },
        "folds": {"kind": "slab", "axis": "x", "count": 1, "train": 0.75, "guard": 2},
        "inference": {"overlap": 0.5, "blending": "gaussian", "symmetries": 1, "block": [8, 8, 8]},
        "memory": {"bytes": 1, "source": "estimate"},
        "why": {name: {"rule": "by hand", "numbers": {}} for name in DECIDED},
    }
    raw |= fields
    alone = [head["kind"] for head in raw["heads"] if isinstance(head, dict)] == ["foreground"]
    heads = [*raw["heads"], {**FOREGROUND, "kind": "boundary"}] if alone else raw["heads"]
    plan = Plan.model_validate({"decoder": _decoder(heads)} | raw | {"heads": heads})
    return plan.model_copy(update={"heads": plan.heads[:1]}) if alone else plan


def _decoder(heads):
    """The kind that reads the first head."""
    first = heads[0]["kind"] if isinstance(heads[0], dict) else heads[0].kind
    kind, metric = {"affinities": ("agglomerate", "voi"), "classes": ("argmax", "dice")}.get(first, ("seeded", "ap"))
    return {"kinds": [kind], "grid": {}, "metric": metric}


def region(box, context=None, volume=0) -> Region:
    """A part of a volume that may be seen no further than it is labelled."""
    return Region(volume, box, context or box)


def wholes(shapes) -> list[Region]:
    """Volumes that are labelled all over."""
    return [region(Box.of_shape(shape), volume=number) for number, shape in enumerate(shapes)]

import pytest
import torch

from pytc_auto.schema.plan import Plan

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


def build_plan(overlap=0.5, block=(8, 8, 8), symmetries=1, **fields):
    """A small valid plan, isotropic; ``fields`` replace its own."""
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
        "sampling": {"batch": 1, "accumulate": 1, "steps": 10, "validate_every": 4, "foreground_share": 0.0, "seed": 7},
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
        "inference": {"overlap": overlap, "blending": "gaussian", "symmetries": symmetries, "block": block},
        "decoder": {"kinds": ["agglomerate"], "grid": {}, "metric": "voi"},
        "memory": {"bytes": 1, "source": "estimate"},
        "why": {name: {"rule": "by hand", "numbers": {}} for name in DECIDED},
    }
    return Plan.model_validate(raw | fields)


@pytest.fixture
def make_plan():
    return build_plan


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)

import pytest
import torch

from pytc_auto.schema.plan import Plan

NO_EFFECTS = dict.fromkeys(("affine", "section_shift", "intensity", "section_intensity", "missing_section", "blur", "noise"))
ALL_EFFECTS = {
    "affine": {"probability": 0.5, "rotation_degrees": [180, 10, 5], "scale": 0.15},
    "section_shift": {"probability": 0.5, "shift_nm": 20},
    "intensity": {"probability": 0.5, "contrast": 0.2, "brightness": 0.2, "gamma": 0.2},
    "section_intensity": {"probability": 0.5, "contrast": 0.1, "brightness": 0.1},
    "missing_section": {"probability": 0.1},
    "blur": {"probability": 0.5, "sigma_nm": 6},
    "noise": {"probability": 0.5, "sigma": 0.1},
}
DECIDED = (
    "task",
    "working_scale",
    "labels",
    "intensity",
    "patch",
    "network",
    "precision",
    "heads",
    "sampling",
    "augmentation",
    "optimizer",
    "folds",
    "inference",
    "decoder",
    "memory",
)
AFFINITIES = {
    "kind": "affinities",
    "offsets": [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [-2, 0, 0], [0, -3, 0], [0, 0, -4]],
    "loss": "balanced_bce",
    "weight": 1.0,
}
INSTANCES = {"kind": "instances", "background": [0], "unlabeled": [], "erode_nm": 4.0}


def build_plan(**fields):
    """A plan that is valid; ``fields`` replace its own, ``sampling`` and ``effects`` are merged."""
    sampling = {"batch": 1, "accumulate": 1, "steps": 10, "validate_every": 4, "foreground_share": 0.0, "seed": 7}
    effects = fields.pop("effects", NO_EFFECTS)
    sampling |= fields.pop("sampling", {})
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
        "voxel_size_nm": [12.0, 4.0, 4.0],
        "working_scale": [1, 1, 1],
        "labels": INSTANCES,
        "intensity": {"clip": [0, 255], "scale": [0.0, 1.0]},
        "patch": [4, 12, 16],
        "network": {"kind": "unet", "features": [8], "strides": [[1, 1, 1]], "kernels": [[3, 3, 3]], "blocks": [1]},
        "precision": "fp32",
        "heads": [AFFINITIES],
        "augmentation": {"symmetries": 1, "effects": effects},
        "sampling": sampling,
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
        "decoder": {"kinds": ["agglomerate"], "grid": {}, "metric": "voi"},
        "memory": {"bytes": 1, "source": "estimate"},
        "why": {name: {"rule": "by hand", "numbers": {}} for name in DECIDED},
    }
    plan = Plan.model_validate(raw | fields)
    if effects is NO_EFFECTS:
        return plan
    return plan.replace(augmentation={"symmetries": len(plan.symmetry_group), "effects": effects})


@pytest.fixture
def make_plan():
    return build_plan


@pytest.fixture
def all_effects():
    return ALL_EFFECTS


@pytest.fixture
def no_effects():
    return NO_EFFECTS


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)

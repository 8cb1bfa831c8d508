import pytest
from samples import NO_EFFECTS, small_plan

ALL_EFFECTS = {
    "affine": {"probability": 0.5, "rotation_degrees": [180, 10, 5], "scale": 0.15},
    "section_shift": {"probability": 0.5, "shift_nm": 20},
    "intensity": {"probability": 0.5, "contrast": 0.2, "brightness": 0.2, "gamma": 0.2},
    "section_intensity": {"probability": 0.5, "contrast": 0.1, "brightness": 0.1},
    "missing_section": {"probability": 0.1},
    "blur": {"probability": 0.5, "sigma_nm": 6},
    "noise": {"probability": 0.5, "sigma": 0.1},
}
SAMPLING = {"batch": 1, "accumulate": 1, "steps": 10, "validate_every": 4, "refit_steps": 0, "foreground_share": 0.0, "seed": 7}
OWN = {
    "voxel_size_nm": [12.0, 4.0, 4.0],
    "labels": {"kind": "instances", "background": [0], "unlabeled": [], "erode_nm": 4.0},
    "intensity": {"clip": [0, 255], "scale": [0.0, 1.0]},
    "patch": [4, 12, 16],
    "network": {
        "kind": "unet",
        "features": [4, 8],
        "strides": [[1, 1, 1], [1, 2, 2]],
        "kernels": [[1, 3, 3], [3, 3, 3]],
        "blocks": [1, 1],
    },
    "heads": [
        {
            "kind": "affinities",
            "offsets": [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [-2, 0, 0], [0, -3, 0], [0, 0, -4]],
            "loss": "balanced_bce",
            "weight": 1.0,
        }
    ],
}


@pytest.fixture
def make_plan():
    """Small anisotropic plans; ``sampling`` and ``effects`` are merged."""

    def make(effects=NO_EFFECTS, sampling=(), **fields):
        plan = small_plan(**{**OWN, "sampling": {**SAMPLING, **dict(sampling)}, **fields})
        if effects is NO_EFFECTS:
            return plan
        return plan.replace(augmentation={"symmetries": len(plan.symmetry_group), "effects": effects})

    return make


@pytest.fixture
def all_effects():
    return ALL_EFFECTS


@pytest.fixture
def no_effects():
    return NO_EFFECTS

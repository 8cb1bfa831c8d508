"""Flips and rotations by 90°: exact, and views only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytc_auto.augment.crop import Crop
from pytc_auto.errors import PlanError
from pytc_auto.geometry import Symmetry
from pytc_auto.schema.plan import Plan


def allowed_symmetries(plan: Plan) -> tuple[Symmetry, ...]:
    """Give the symmetries a plan asks for: the identity, or the whole group of its geometry.

    Raises:
        PlanError: The plan asks for another number of them.
    """
    group = plan.symmetry_group
    wanted = plan.augmentation.symmetries
    if wanted not in (1, len(group)):
        raise PlanError(
            f"plan {plan.name}: augmentation.symmetries is {wanted}, but voxel size, patch, network and offsets "
            f"allow {len(group)}. Use {len(group)} for all of them or 1 for none."
        )
    return group[:wanted]


def draw_symmetry(symmetries: Sequence[Symmetry], rng: np.random.Generator) -> Symmetry:
    """Draw one, all equally likely."""
    return symmetries[int(rng.integers(len(symmetries)))]


def apply_symmetry(crop: Crop, symmetry: Symmetry) -> Crop:
    """Permute and flip the axes of image and labels."""
    return Crop(symmetry.apply(crop.image_zyx), symmetry.apply(crop.labels_zyx), symmetry.apply(crop.unlabeled_zyx))

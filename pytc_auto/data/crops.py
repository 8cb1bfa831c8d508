"""Crops to train on: crop i depends on the plan's seed and i alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import torch
from torch.utils.data import Dataset

from pytc_auto.augment.compose import apply_effects, draw_effects, source_box
from pytc_auto.augment.crop import Crop
from pytc_auto.augment.symmetry import allowed_symmetries
from pytc_auto.data.folds import Region
from pytc_auto.data.intensity import normalize
from pytc_auto.data.occupancy import Occupancy, occupancy
from pytc_auto.data.volumes import LabelledVolume
from pytc_auto.errors import DataError
from pytc_auto.geometry import Box, Zyx, zyx
from pytc_auto.schema.plan import Plan
from pytc_auto.targets.labels import unlabeled_in
from pytc_auto.targets.make import Target, make_targets

MOST_DRAWS = 100
"""A crop without a labeled voxel is drawn again at most this often."""


class TargetTensors(TypedDict):
    """A target as tensors, (K, Z, Y, X): values uint8, float32 of descriptors; mask bool."""

    values: torch.Tensor
    mask: torch.Tensor


class CropTensors(TypedDict):
    """A crop as tensors: image float32 (1, Z, Y, X), one target per head. In a batch all have a leading n."""

    image: torch.Tensor
    targets: tuple[TargetTensors, ...]


class CropDataset(Dataset[CropTensors]):
    """Random crops of the training regions, varied, with the targets of the plan's heads.

    Labels are read inside the regions only, beyond them all is unlabeled. The image is read inside the regions' context only,
    and reflected at its border.
    """

    def __init__(self, volumes: Sequence[LabelledVolume], plan: Plan, regions: Sequence[Region]) -> None:
        """Prepare to draw; with a foreground share, all labels of the regions are read once.

        Raises:
            DataError: The regions hold no label, or a value that no class has.
            PlanError: The plan asks for symmetries it cannot have.
        """
        self._volumes = volumes
        self._plan = plan
        self._regions = regions
        self._symmetries = allowed_symmetries(plan)
        labelled = np.array([volumes[r.volume].labelled_voxels(r.box) for r in regions], np.float64)
        if not labelled.sum():
            raise DataError(f"{', '.join(v.name for v in volumes)}: the training regions hold no label. Label more sections.")
        self._shares = labelled / labelled.sum()
        sampling = plan.sampling
        self._occupancy: Occupancy | None = (
            occupancy(volumes, regions, plan.labels, plan.working_voxel_size_nm) if sampling.foreground_share else None
        )

    def __len__(self) -> int:
        """Crops of the whole training."""
        sampling = self._plan.sampling
        return sampling.steps * sampling.accumulate * sampling.batch

    def __getitem__(self, index: int) -> CropTensors:
        plan = self._plan
        rng = np.random.default_rng([plan.sampling.seed, index])
        crop = self._draw(rng)
        targets = make_targets(
            crop.labels_zyx,
            crop.unlabeled_zyx,
            labels=plan.labels,
            heads=plan.learned,
            voxel_size_nm=plan.working_voxel_size_nm,
        )
        return _as_tensors(crop, targets)

    def _draw(self, rng: np.random.Generator) -> Crop:
        """Draw a place that has labels, and what happens to the crop."""
        plan = self._plan
        for _ in range(MOST_DRAWS):
            region, box = self._place(rng)
            draw = draw_effects(plan.augmentation, self._symmetries, plan.working_voxel_size_nm, plan.patch, rng)
            crop = self.read(region, source_box(draw, box))
            middle = crop.inner(plan.patch)
            if not unlabeled_in(middle.labels_zyx, plan.labels.unlabeled, middle.unlabeled_zyx).all():
                break
        return apply_effects(crop, draw)

    def read(self, region: Region, box: Box) -> Crop:
        """Read a box that may reach outside its region and its context; nothing outside is seen."""
        volume = self._volumes[region.volume]
        found = volume.read_labels(box, within=region.box)
        image = normalize(volume.read_image(box, within=region.context), self._plan.intensity)
        return Crop(image, found.labels_zyx, found.unlabeled_zyx)

    def _place(self, rng: np.random.Generator) -> tuple[Region, Box]:
        """Draw where a crop lies."""
        if self._occupancy is not None and rng.random() < self._plan.sampling.foreground_share:
            found = self._occupancy.draw_voxel(rng)
            if found is not None:
                region, voxel = found
                return region, Box.of_shape(self._plan.patch, start_around(voxel, region, self._plan.patch, rng))
        region = self._regions[int(rng.choice(len(self._regions), p=self._shares))]
        return region, Box.of_shape(self._plan.patch, start_anywhere(region, self._plan.patch, rng))


def start_anywhere(region: Region, patch: Zyx, rng: np.random.Generator) -> Zyx:
    """Draw a start at which the patch lies inside the region's box; on an axis where it is longer, it holds the box.

    There it lies inside the context; on an axis where it is longer than that, too, it holds the context.
    """
    return zyx([int(rng.integers(low, high + 1)) for low, high in _starts(region, patch)])


def start_around(voxel: Zyx, region: Region, patch: Zyx, rng: np.random.Generator) -> Zyx:
    """Draw such a start for which the patch holds a voxel, anywhere in it."""
    ranges = zip(_starts(region, patch), voxel, patch, strict=True)
    return zyx([int(rng.integers(max(low, v - n + 1), min(high, v) + 1)) for (low, high), v, n in ranges])


def _starts(region: Region, patch: Zyx) -> list[tuple[int, int]]:
    """First and last possible start on each axis."""
    inner, outer = (
        [sorted((a, b - n)) for a, b, n in zip(box.start, box.stop, patch, strict=True)] for box in (region.box, region.context)
    )
    return [(max(a, c), min(b, d)) for (a, b), (c, d) in zip(inner, outer, strict=True)]


def _as_tensors(crop: Crop, targets: Sequence[Target]) -> CropTensors:
    return {
        "image": torch.from_numpy(np.ascontiguousarray(crop.image_zyx))[None],
        "targets": tuple({"values": torch.from_numpy(t.values_kzyx), "mask": torch.from_numpy(t.mask_kzyx)} for t in targets),
    }


def collate_crops(crops: Sequence[CropTensors]) -> CropTensors:
    """Stack crops into a batch."""
    heads = range(len(crops[0]["targets"]))
    return {
        "image": torch.stack([c["image"] for c in crops]),
        "targets": tuple(
            {
                "values": torch.stack([c["targets"][h]["values"] for c in crops]),
                "mask": torch.stack([c["targets"][h]["mask"] for c in crops]),
            }
            for h in heads
        ),
    }

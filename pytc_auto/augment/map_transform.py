"""The effects as a MONAI transform, for pipelines that are built by hand."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable

from pytc_auto.augment.compose import augment
from pytc_auto.augment.crop import Crop
from pytc_auto.geometry import Symmetry, ZyxFloat, symmetry_group, zyx
from pytc_auto.schema.augmentation import Augmentation, Effects


class EmEffectsd(Randomizable, MapTransform):
    """Varies an image and its labels as an electron microscope would.

    >>> from pytc_auto.schema.augmentation import Effects, MissingSection
    >>> effects = Effects(missing_section=MissingSection(probability=0.05, kinds=["blank", "partial"]))
    >>> transform = EmEffectsd(["image", "label"], effects, voxel_size_nm=(40.0, 4.0, 4.0))
    >>> transform.set_random_state(seed=0)({"image": image_1zyx, "label": labels_1zyx})  # doctest: +SKIP

    Args:
        keys: Of the image and of the labels, in this order. Both are (1, Z, Y, X); the image is normalized (mean 0, standard
            deviation 1), the labels are of any integer dtype, and keep it. What comes in from outside is labelled 0.
        effects: What may happen.
        voxel_size_nm: z, y, x.
        symmetric: Whether the crop is also flipped and turned by 90° as its voxel size and shape allow.
    """

    def __init__(self, keys: KeysCollection, effects: Effects, voxel_size_nm: ZyxFloat, *, symmetric: bool = False) -> None:
        super().__init__(keys)
        if len(self.keys) != 2:
            raise ValueError(f"keys are those of the image and of the labels, got {list(self.keys)}")
        self.effects = effects
        self.voxel_size_nm = voxel_size_nm
        self.symmetric = symmetric

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A copy of ``data`` with image and labels varied."""
        image, labels = (np.asarray(data[key]) for key in self.keys)
        crop = Crop(image[0].astype(np.float32), labels[0], np.zeros(labels.shape[1:], np.bool_))
        shape = zyx(labels.shape[1:])
        group = symmetry_group(self.voxel_size_nm, shape) if self.symmetric else (Symmetry(),)
        rng = np.random.default_rng(self.R.randint(2**32, dtype=np.uint64))
        varied = augment(crop, Augmentation(symmetries=len(group), effects=self.effects), group, self.voxel_size_nm, rng)
        image_key, labels_key = self.keys
        return {**data, image_key: np.ascontiguousarray(varied.image_zyx)[None], labels_key: varied.labels_zyx[None]}

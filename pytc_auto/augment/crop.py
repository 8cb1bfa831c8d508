"""What is varied: an image with its labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.geometry import Box, Zyx, zyx

Image = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Crop:
    """A piece of a volume. Effects give a new crop and leave the arrays of the old one as they are.

    Attributes:
        image_zyx: (Z, Y, X), float32, normalized: 0 is the mean of the data, 1 a standard deviation.
        labels_zyx: (Z, Y, X), raw labels of any integer dtype. They are moved, never blended or cast.
        unlabeled_zyx: (Z, Y, X), bool.
    """

    image_zyx: Image
    labels_zyx: npt.NDArray[Any]
    unlabeled_zyx: npt.NDArray[np.bool_]

    @property
    def shape(self) -> Zyx:
        """Voxels per axis."""
        return zyx(self.image_zyx.shape)

    def with_image(self, image_zyx: Image) -> Crop:
        """The same labels under another image."""
        return replace(self, image_zyx=image_zyx)

    def inner(self, shape: Zyx) -> Crop:
        """The middle of the crop."""
        return self.cut(Box.of_shape(shape, [(n - k) // 2 for n, k in zip(self.shape, shape, strict=True)]))

    def cut(self, box: Box) -> Crop:
        """What lies in a box of the crop."""
        index = box.slices
        return Crop(self.image_zyx[index], self.labels_zyx[index], self.unlabeled_zyx[index])

    def moved_axis(self, source: int, target: int) -> Crop:
        """The same arrays with one axis in another place."""
        return Crop(
            np.moveaxis(self.image_zyx, source, target),
            np.moveaxis(self.labels_zyx, source, target),
            np.moveaxis(self.unlabeled_zyx, source, target),
        )

    def padded(self, margin: Zyx) -> Crop:
        """The crop with a margin around it: the image reflected, the labels unlabeled."""
        widths = [(m, m) for m in margin]
        return Crop(
            np.pad(self.image_zyx, widths, mode="reflect"),
            np.pad(self.labels_zyx, widths),
            np.pad(self.unlabeled_zyx, widths, constant_values=True),
        )

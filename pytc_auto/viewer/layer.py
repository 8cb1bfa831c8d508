"""What a viewer shows of a volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pytc_auto.geometry import Zyx, ZyxFloat
from pytc_auto.viewer.pyramid import Pyramid

Look = Literal["image", "prediction", "labels"]


@dataclass(frozen=True)
class Layer:
    """A volume in a viewer.

    Attributes:
        name: Of the layer.
        pyramid: Its voxels.
        look: Gray, the first channels as colors, or a color for each id.
        voxel_size_nm: (z, y, x).
        start: Of its first voxel, in its own voxels; the first layer of a scene begins at 0.
        contrast: Gray values shown black and white.
        visible: From the start.
    """

    name: str
    pyramid: Pyramid
    look: Look
    voxel_size_nm: ZyxFloat
    start: Zyx = (0, 0, 0)
    contrast: tuple[float, float] = (0.0, 255.0)
    visible: bool = True

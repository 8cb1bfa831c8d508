"""What is measured section by section."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytc_auto.fingerprint.percentiles import Floats


@dataclass(frozen=True)
class SectionCurves:
    """What was measured of each section of a volume, from windows in the plane. All (S,) but where it says otherwise.

    Attributes:
        section: Its number, from 0.
        mean: Of its gray values; nan where none is finite.
        std: Of its gray values.
        sharpness: Variance of the Laplacian over variance of the gray values; nan where it is blank.
        correlation: Of its gray values with those of the next section; nan at an end or where one is blank.
        shift_nm: (S, 2) of the next section in the plane, in axis order; nan where it cannot be told.
        plane_nm: Voxel size in the plane.
        section_nm: Thickness of a section.
        windows_fraction: Share of the sections that the windows cover.
    """

    section: Floats
    mean: Floats
    std: Floats
    sharpness: Floats
    correlation: Floats
    shift_nm: Floats
    plane_nm: tuple[float, float]
    section_nm: float
    windows_fraction: float

    @property
    def shift_length_nm(self) -> Floats:
        """(S,) length of the shifts."""
        return np.asarray(np.hypot(self.shift_nm[:, 0], self.shift_nm[:, 1]), np.float64)

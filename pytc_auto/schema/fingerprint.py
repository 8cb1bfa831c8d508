"""fingerprint.json: what a data set is. Measured; it holds no decision and no path. null means unknown."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from pytc_auto.geometry import anisotropy, cutting_axis
from pytc_auto.schema.dataset import Task, VoxelSize
from pytc_auto.schema.document import Document, Part

Fraction = float


class VolumeFacts(Part):
    """One volume."""

    name: str
    shape: tuple[PositiveInt, PositiveInt, PositiveInt] | None
    dtype: str | None
    voxel_size_nm: VoxelSize
    labelled: bool
    blank_label_sections: list[NonNegativeInt]


class IntensityFacts(Part):
    """Gray values, over the sampled voxels of all volumes."""

    histogram: list[NonNegativeInt] | None = Field(description="counts of the values 0 to 255, uint8 data only")
    percentiles: dict[str, float] = Field(description="value at 0.5, 5, 25, 50, 75, 95 and 99.5 %, keys as p0_5, p5, …")
    mean: float
    std: NonNegativeFloat


class SectionFacts(Part):
    """How sections along the cutting axis differ from one another."""

    mean_drift: NonNegativeFloat | None = Field(description="standard deviation of the sections' means over the data's std")
    missing_rate: Fraction | None = Field(description="share of sections that are blank")


class InstanceFacts(Part):
    """Sizes of the labels' connected components, weighted by volume where a percentile is given."""

    diameter_nm: dict[str, float] | None = Field(description="inscribed diameter, p10, p50, p90")
    extent_nm: dict[str, float] | None = Field(description="longest side of the bounding box, p50, p90, p95")
    touching_fraction: Fraction | None = Field(description="share of the surface that touches another id without a gap")
    border_fraction: Fraction | None = Field(description="share of components that the volume's border cuts")
    solidity: Fraction | None = Field(description="median of component volume over convex hull volume, large components")
    gap_nm: NonNegativeFloat | None = Field(description="median width of the gap between neighbors; 0 where they touch")


class LabelFacts(Part):
    """What the labels are."""

    kind: Literal["mask", "classes", "instances"]
    values: dict[int, Fraction] | None = Field(description="share of each raw value, for a mask or classes")
    ids: NonNegativeInt | None = Field(description="number of different values other than 0")
    components: NonNegativeInt | None
    foreground_fraction: Fraction | None
    unlabeled_fraction: Fraction
    instances: InstanceFacts


class Fingerprint(Document):
    """All that the planner knows of a data set."""

    format_version: Literal[1] = 1
    name: str
    task: Task | None = Field(description="as declared by the user")
    volumes: list[VolumeFacts] = Field(min_length=1)
    voxel_size_nm: VoxelSize = Field(description="median over the volumes")
    intensity: IntensityFacts | None
    sections: SectionFacts
    labels: LabelFacts | None
    class_names: dict[int, str]
    unlabeled: list[int] = Field(description="label values declared to mean: nobody looked here")
    sampled_fraction: float = Field(description="share of the voxels that was read")
    seed: int

    @property
    def anisotropy(self) -> float:
        """Coarsest voxel size over the geometric mean of the other two."""
        return anisotropy(self.voxel_size_nm)

    @property
    def cutting_axis(self) -> int:
        """Index of the coarsest axis, z on ties."""
        return cutting_axis(self.voxel_size_nm)

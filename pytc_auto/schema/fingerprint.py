"""fingerprint.json: what a data set is, measured or published. It holds no decision and no path. null means unknown.

Fractions and rates lie between 0 and 1; a rate times 100 is the number of sections in 100. Percentiles are keyed p5, p50, p99_5.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from pytc_auto.geometry import ZyxFloat, anisotropy, cutting_axis
from pytc_auto.schema.dataset import Task, VoxelSize
from pytc_auto.schema.document import Document, Part

Fraction = Annotated[float, Field(ge=0, le=1)]
Percentiles = dict[str, float]
Shape = tuple[PositiveInt, PositiveInt, PositiveInt]
LabelKind = Literal["mask", "classes", "instances", "skeletons"]
Coverage = Literal["dense", "sparse"]
CountedFrom = Literal["voxels", "coarser level", "sample"]


class Provenance(Part):
    """Where the facts come from."""

    kind: Literal["measured", "published"] = Field(description="from the voxels, or from what others wrote about the data set")
    sources: list[str] = Field(
        description="who published the facts: github:OWNER/REPOSITORY@COMMIT:FILE, doi:…, https://…, or a citation"
    )
    note: str | None = Field(description="which facts are derived, rounded or not certain")

    @model_validator(mode="after")
    def _published_facts_have_a_source(self) -> Self:
        if self.kind == "published" and not self.sources:
            raise ValueError("published facts need a source. Name who published them in sources")
        return self


class LabelsBox(Part):
    """The part of an image that its labels cover, in voxels of the image."""

    start: tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt]
    shape: Shape


class VolumeFacts(Part):
    """One volume."""

    name: str
    shape: Shape | None = Field(description="z, y, x in voxels")
    dtype: str | None
    voxel_size_nm: VoxelSize
    channels: PositiveInt | None
    chunks: Shape | None = Field(description="z, y, x of the pieces in which voxels are stored; null where they are not")
    levels_nm: list[VoxelSize] | None = Field(description="voxel sizes of the stored pyramid, finest first; empty without one")
    labelled: bool
    labels_box: LabelsBox | None = Field(description="where the labels lie, if they cover only a part of the image")
    labelled_fraction: Fraction | None = Field(description="share of the image's voxels whose label means something")
    labels_shift_nm: tuple[float, float, float] | None = Field(
        description="z, y, x, how far the labels lie beside what the image shows; null if they fit or it cannot be told"
    )
    blank_label_sections: list[NonNegativeInt] | None = Field(description="along the cutting axis, counted in the image from 0")

    @property
    def extent_nm(self) -> ZyxFloat | None:
        """Shape times voxel size, (z, y, x)."""
        if self.shape is None:
            return None
        z, y, x = (n * s for n, s in zip(self.shape, self.voxel_size_nm, strict=True))
        return z, y, x


class IntensityFacts(Part):
    """Gray values, over the sampled voxels of all volumes; mean, std and percentiles leave the padding out."""

    histogram: list[NonNegativeInt] | None = Field(description="counts of the values 0 to 255, uint8 data only")
    percentiles: Percentiles = Field(description="value at 0.5, 5, 25, 50, 75, 95 and 99.5 %")
    mean: float
    std: NonNegativeFloat
    padding_value: float | None = Field(description="constant value of the border that was filled in; null if there is none")
    padding_fraction: Fraction | None = Field(description="share of the voxels that are such padding")
    saturated_fraction: Fraction | None = Field(
        description="share of the voxels, padding aside, with the lowest or highest value"
    )
    noise_std: NonNegativeFloat | None = Field(description="in gray values, by Immerkær's mask in the plane, median over boxes")
    inverted: bool | None = Field(description="whether membranes are bright instead of dark")
    sampled_fraction: Fraction | None = Field(description="share of the images' voxels that was read for all this")
    boxes: NonNegativeInt | None = Field(description="in how many boxes")


class SectionFacts(Part):
    """How sections along the cutting axis differ from one another, from windows in the plane."""

    mean_drift: NonNegativeFloat | None = Field(description="standard deviation of the sections' means over the data's std")
    std_drift: NonNegativeFloat | None = Field(description="standard deviation of the sections' stds over the data's std")
    missing_rate: Fraction | None = Field(description="blank sections")
    duplicate_rate: Fraction | None = Field(description="sections nearly the same as the one before")
    shifted_rate: Fraction | None = Field(description="sections shifted against the one before, clearly more than usual")
    dark_rate: Fraction | None = Field(description="sections clearly darker than their neighbors")
    bright_rate: Fraction | None = Field(description="sections clearly brighter than their neighbors")
    blurred_rate: Fraction | None = Field(description="sections clearly less sharp than their neighbors")
    correlation: Percentiles | None = Field(description="of gray values with the next section, p5, p50, p95")
    shift_nm: Percentiles | None = Field(description="against the next section in the plane, p50, p95")
    sections: NonNegativeInt | None = Field(description="how many were looked at")
    windows_fraction: Fraction | None = Field(description="share of these sections' voxels that the windows cover")


class InstanceFacts(Part):
    """Sizes of the labels' connected components, weighted by volume where a percentile is given unless it says otherwise."""

    volume_nm3: Percentiles | None = Field(description="p10, p50, p90, each component counts once")
    diameter_nm: Percentiles | None = Field(description="inscribed diameter, p10, p50, p90")
    extent_nm: Percentiles | None = Field(description="longest side of the bounding box, p50, p90, p95")
    elongation: Percentiles | None = Field(description="extent over the diameter of a ball of the same volume, p50, p90")
    touching_fraction: Fraction | None = Field(description="share of the surface that touches another id without a gap")
    border_fraction: Fraction | None = Field(description="share of components that the volume's border cuts")
    broken_fraction: Fraction | None = Field(description="share of ids that are several components")
    tiny_fraction: Fraction | None = Field(description="share of components of fewer than 64 voxels")
    solidity: Fraction | None = Field(description="median of component volume over convex hull volume, large components")
    gap_nm: NonNegativeFloat | None = Field(description="median width of the gap between neighbors; 0 where they touch")


class IgnoreCandidate(Part):
    """A label value that is not declared as unlabeled but looks like it."""

    value: int
    fraction: Fraction = Field(description="share of the voxels with a label")
    reason: str


class LabelFacts(Part):
    """What the labels are."""

    kind: LabelKind
    coverage: Coverage | None = Field(description="whether every object is labelled, or only some; null if it cannot be told")
    values: dict[int, Fraction | None] | None = Field(description="share of each raw value, for a mask or classes")
    ids: NonNegativeInt | None = Field(description="how many different values other than 0; those met, if from a sample")
    id_range: tuple[int, int] | None = Field(description="lowest and highest of them")
    components: NonNegativeInt | None = Field(description="connected regions of one id, by faces; null if from a sample")
    foreground_fraction: Fraction | None
    unlabeled_fraction: Fraction | None
    ignore_candidates: list[IgnoreCandidate] | None
    instances: InstanceFacts
    counted_from: CountedFrom | None = Field(description="what ids, components and their extents come from")
    counted_at_nm: VoxelSize | None = Field(description="voxel size at which they were counted")
    sampled_fraction: Fraction | None = Field(description="share of the labels' voxels read for surfaces, gaps and solidity")


class SkeletonFacts(Part):
    """Traced neurons, on which run lengths are measured."""

    volumes: NonNegativeInt | None = Field(description="how many of the labelled volumes have some")
    count: PositiveInt | None = Field(description="skeletons with a length, over all volumes")
    length_nm: Percentiles | None = Field(description="p10, p50, p90, each skeleton counts once")
    total_length_nm: PositiveFloat | None = Field(description="of all edges")
    labelled_fraction: Fraction | None = Field(description="share of the length that lies in the labelled part of its volume")


class Fingerprint(Document):
    """All that the planner knows of a data set."""

    format_version: Literal[1] = 1
    name: str
    task: Task | None = Field(description="as declared by the user, or as published")
    provenance: Provenance
    volumes: list[VolumeFacts] = Field(min_length=1)
    voxel_size_nm: VoxelSize = Field(description="median over the volumes")
    intensity: IntensityFacts | None
    sections: SectionFacts
    labels: LabelFacts | None
    skeletons: SkeletonFacts | None = Field(None, description="left out where there are none")
    class_names: dict[int, str]
    unlabeled: list[int] = Field(description="label values declared to mean: nobody looked here")
    sampled_fraction: Fraction | None = Field(description="share of the voxels of images and labels that was read")
    seed: int | None = Field(description="of the draw of what was read")

    @model_serializer(mode="wrap")
    def _no_skeletons_are_not_told(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if (name, value) != ("skeletons", None)}

    @property
    def anisotropy(self) -> float:
        """Coarsest voxel size over the geometric mean of the other two."""
        return anisotropy(self.voxel_size_nm)

    @property
    def cutting_axis(self) -> int:
        """Index of the coarsest axis, z on ties."""
        return cutting_axis(self.voxel_size_nm)

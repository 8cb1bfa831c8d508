"""What ``pytc evaluate --json`` writes: the scores and all that changes them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from pytc_auto.schema.dataset import PositiveZyx, VoxelSize
from pytc_auto.schema.document import Document, Part
from pytc_auto.schema.skeletons import ComparedSkeletons


class ComparedBox(Part):
    """A half-open region in voxels of the labels, of the segmentation where there are none, z, y, x."""

    start: tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt]
    stop: PositiveZyx


class ComparedVolume(Part):
    """One volume that was read, and the state of its files."""

    source: str = Field(description="path or URL, and :key inside it")
    shape: PositiveZyx
    dtype: str
    voxel_size_nm: VoxelSize | None
    offset_nm: tuple[float, float, float] | None
    start: tuple[int, int, int] = Field(description="where its first voxel lies in the labels' grid")
    bytes: NonNegativeInt | None = Field(description="of all its files; null for a URL")
    modified: str | None = Field(description="when the newest of its files was written, UTC; null for a URL")


class Evaluation(Document):
    """Scores of a segmentation, and every parameter that changes a number. What is of labels is null where there are none."""

    format_version: Literal[1] = 1
    segmentation: ComparedVolume
    labels: ComparedVolume | None = None
    ignore: ComparedVolume | None = Field(None, description="a mask; its voxels that are not 0 do not count")
    kind: Literal["instances", "classes", "synapses"] | None = None
    components: bool = Field(False, description="whether pieces of an id of the labels that do not touch in the box are objects")
    background: str | None = Field(None, description="what is done with 0")
    box: ComparedBox | None = Field(None, description="what was compared, the border already taken off")
    border: tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt] | None = Field(
        None, description="voxels taken off at each face"
    )
    voxels: PositiveInt | None = Field(None, description="how many were compared; ignored ones are not among them")
    voxel_size_nm: VoxelSize | None = Field(description="by which lengths in nanometers were measured")
    boundary_nm: NonNegativeFloat | None = Field(None, description="tolerance of boundary F1; null where it was not scored")
    skeletons: ComparedSkeletons | None = Field(None, description="on which run lengths were measured")
    scores: dict[str, float]

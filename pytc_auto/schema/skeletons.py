"""On what run lengths were measured, for the document of ``pytc evaluate``."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from pytc_auto.schema.dataset import SkeletonUnits, VoxelSize
from pytc_auto.schema.document import Part


class ComparedSkeletons(Part):
    """Skeletons, and every parameter that changes a number made of them."""

    source: str = Field(description="file or folder")
    units: SkeletonUnits = Field(description="of SWC files; a graph stores nanometers")
    voxel_size_nm: VoxelSize | None = Field(
        description="of the segmentation, z, y, x; null where it does not tell, and a graph stores voxels, too"
    )
    merge_thresholds: list[NonNegativeInt] = Field(description="nodes of a second skeleton that make a segment no merger yet")
    clipped: bool = Field(
        False, description="whether they were cut at the box's faces; each piece that hangs together is then a run of its own"
    )
    skeletons: PositiveInt = Field(description="with a length inside the segmentation, or the box")
    nodes: PositiveInt = Field(description="inside it")
    nodes_outside: NonNegativeInt = Field(description="left out, with their edges")
    length_nm: PositiveFloat = Field(description="of all edges inside")

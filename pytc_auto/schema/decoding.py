"""What an output keeps, so that its segmentation can be made again: .pytc/decoding.json."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from pytc_auto.geometry import Box
from pytc_auto.schema.document import Document
from pytc_auto.schema.model import DecoderChoice
from pytc_auto.schema.plan import Plan

Triple = tuple[int, int, int]
Lengths = tuple[float, float, float]


class DecodingRecord(Document):
    """How the segmentation of one volume was made from its predictions, all triples in z, y, x."""

    format_version: Literal[1] = 1
    volume: str = Field(description="how it was named")
    job: str = Field(description="identifies weights, plan, input and settings of the predictions")
    plan: Plan
    decoder: DecoderChoice
    extent: Triple = Field(description="of the input, in its voxels")
    start: Triple = Field(description="of the part that is segmented, on the input's grid")
    stop: Triple
    part_start: Triple = Field(description="of what was predicted, on the working grid")
    part_stop: Triple
    voxel_size_nm: Lengths
    translation_nm: Lengths | None
    attributes: dict[str, Any] = Field(description="where the result comes from, as it stands in the OME-Zarr group")

    @property
    def box(self) -> Box:
        """What is segmented, on the input's grid."""
        return Box(self.start, self.stop)

    @property
    def part(self) -> Box:
        """What was predicted, on the working grid."""
        return Box(self.part_start, self.part_stop)

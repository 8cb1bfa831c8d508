"""dataset.yaml: where the volumes are and how to read them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat

from pytc_auto.schema.document import Document, Part

Task = Literal["neurons", "objects", "classes"]
AxisOrder = Literal["zyx", "xyz"]
VoxelSize = tuple[PositiveFloat, PositiveFloat, PositiveFloat]


class Declared(Document):
    """What a user may declare in DATASET/dataset.yaml, for what the files themselves do not tell."""

    voxel_size_nm: VoxelSize | None = Field(None, description="z, y, x in nanometers, for every volume")
    axes: AxisOrder | None = Field(None, description="order in which the files store their axes")
    task: Task | None = Field(None, description="what to segment; found from the labels where absent")
    image_key: str | None = Field(None, description="data set inside an HDF5 or zarr container that holds the image")
    labels_key: str | None = Field(None, description="data set inside an HDF5 or zarr container that holds the labels")
    unlabeled: list[int] = Field(default_factory=list, description="label values that mean: nobody looked here")
    class_names: dict[int, str] = Field(default_factory=dict, description="a name for a label value")


class VolumeEntry(Part):
    """One volume of a data set, with resolved paths. ``path:key`` names a data set inside a container."""

    name: str
    image: str
    labels: str | None
    voxel_size_nm: VoxelSize
    axes: AxisOrder
    unlabeled_sections: list[int] = Field(description="sections along the cutting axis whose labels are blank")


class Dataset(Document):
    """A run's dataset.yaml: written by ``pytc plan``, read by ``pytc train``."""

    format_version: Literal[1] = 1
    root: str
    task: Task | None
    unlabeled: list[int]
    class_names: dict[int, str]
    volumes: list[VolumeEntry] = Field(min_length=1)

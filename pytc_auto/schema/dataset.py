"""dataset.yaml: where the volumes are and how to read them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, field_validator

from pytc_auto.schema.document import Document, Part

Task = Literal["neurons", "objects", "classes"]
AxisOrder = Literal["zyx", "xyz"]
SkeletonUnits = Literal["nm", "um", "voxel"]
PositiveZyx = tuple[PositiveInt, PositiveInt, PositiveInt]
VoxelSize = tuple[PositiveFloat, PositiveFloat, PositiveFloat]


class DeclaredVolume(Part):
    """One volume, named by hand."""

    name: str
    image: str
    labels: str | None = None
    skeletons: str | None = Field(None, description="of neurons: an SWC file, a folder of these, or NISB's pickled graph")


class Declared(Document):
    """What a user may declare in DATASET/dataset.yaml, for what the files themselves do not tell."""

    voxel_size_nm: VoxelSize | None = Field(None, description="z, y, x in nanometers, for every volume")
    axes: AxisOrder | None = Field(None, description="order in which the files store their axes")
    task: Task | None = Field(None, description="what to segment; found from the labels where absent")
    image_key: str | None = Field(None, description="data set inside an HDF5 or zarr container that holds the image")
    labels_key: str | None = Field(None, description="data set inside an HDF5 or zarr container that holds the labels")
    unlabeled: list[int] = Field(default_factory=list, description="label values that mean: nobody looked here")
    class_names: dict[int, str] = Field(default_factory=dict, description="a name for a label value")
    channel: NonNegativeInt | None = Field(None, description="which channel of images that have several, from 0")
    stack: bool | None = Field(None, description="whether a folder of 2D images is one stack; found from the images where absent")
    skeleton_units: SkeletonUnits | None = Field(
        None, description="of the x, y, z in SWC files; nanometers where absent. A voxel is one of the image"
    )
    volumes: list[DeclaredVolume] = Field(
        default_factory=list, description="volumes by path (relative to this file) or URL, in place of images/ and labels/"
    )

    @field_validator("volumes")
    @classmethod
    def _names_differ(cls, volumes: list[DeclaredVolume]) -> list[DeclaredVolume]:
        names = [volume.name for volume in volumes]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"several volumes are called {', '.join(twice)}. Give each a name of its own")
        return volumes


class VolumeEntry(Part):
    """One volume of a data set, with resolved paths or URLs. ``path:key`` names a data set inside a container.

    Image and labels are brought to one grid, that of the coarser of the two. The labels may cover a part of the image; what is
    around them is context, not background.
    """

    name: str
    image: str
    labels: str | None
    mask: str | None = Field(None, description="volume of the image's shape: where it is 0, nobody has labelled")
    voxel_size_nm: VoxelSize = Field(description="of the common grid, z, y, x")
    axes: AxisOrder
    channel: NonNegativeInt | None = Field(None, description="of an image with several")
    image_scale: PositiveZyx = Field((1, 1, 1), description="voxels of the image file per voxel of the common grid")
    labels_scale: PositiveZyx = Field((1, 1, 1), description="voxels of the label file per voxel of the common grid")
    labels_start: tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt] = Field(
        (0, 0, 0), description="where the labels begin in the image, voxels of the common grid"
    )
    skeletons: str | None = Field(None, description="an SWC file, a folder of these, or a pickled graph")
    skeleton_units: SkeletonUnits = Field("nm", description="of SWC files; a voxel is one of the image file")
    unlabeled_sections: list[int] = Field(
        description="sections of the common grid, along the cutting axis, whose labels are blank"
    )


class Dataset(Document):
    """A run's dataset.yaml: written by ``pytc plan``, read by ``pytc train``."""

    format_version: Literal[1] = 1
    root: str
    task: Task | None
    unlabeled: list[int]
    class_names: dict[int, str]
    volumes: list[VolumeEntry] = Field(min_length=1)

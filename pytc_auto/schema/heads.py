"""What the network gives, one record per head, told apart by its kind."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, SerializerFunctionWrapHandler, model_serializer

from pytc_auto.schema.document import Part


class AffinityHead(Part):
    """Does voxel v belong to the same instance as v + offset? One channel per offset."""

    kind: Literal["affinities"]
    offsets: list[tuple[int, int, int]] = Field(min_length=2)
    loss: Literal["balanced_bce", "dice_bce", "dice_balanced_bce", "focal", "tversky"]
    weight: PositiveFloat

    @property
    def channels(self) -> int:
        """Output channels."""
        return len(self.offsets)


class BinaryHead(Part):
    """foreground: inside any instance; boundary: within ``width_nm`` of another instance or of background."""

    kind: Literal["foreground", "boundary"]
    width_nm: NonNegativeFloat = Field(description="of the boundary, across; 0 for foreground")
    loss: Literal["dice_bce", "dice_balanced_bce", "balanced_bce", "focal", "tversky"]
    weight: PositiveFloat

    @property
    def channels(self) -> int:
        """Output channels."""
        return 1


class ClassHead(Part):
    """One channel per class, in the order of the labels' values."""

    kind: Literal["classes"]
    class_weights: list[PositiveFloat] = Field(min_length=2, description="of the cross entropy")
    loss: Literal["dice_ce", "focal", "tversky"]
    weight: PositiveFloat

    @property
    def channels(self) -> int:
        """Output channels."""
        return len(self.class_weights)


class ShapeHead(Part):
    """lsd: local shape descriptors. Learned beside the heads because that makes them better, and never predicted."""

    kind: Literal["lsd"]
    sigma_nm: PositiveFloat = Field(description="of the Gaussian around each voxel")
    loss: Literal["mse", "smooth_l1"]
    weight: PositiveFloat

    @property
    def channels(self) -> int:
        """Output channels."""
        return 10


class DistanceHead(Part):
    """How deep a voxel lies inside of its instance; negative in the background. The output is a tanh.

    signed_distance: tanh of the distance to the nearest voxel of another instance or of background over ``scale_nm``.
    skeleton_distance: from 0 at the border of an instance to 1 on its skeleton; -1 in the background.
    """

    kind: Literal["signed_distance", "skeleton_distance"]
    scale_nm: PositiveFloat = Field(
        description="signed_distance: the length that gives 0.76; skeleton_distance: sigma that smooths what is thinned"
    )
    loss: Literal["smooth_l1", "mse"]
    weight: PositiveFloat

    @property
    def channels(self) -> int:
        """Output channels."""
        return 1


class FlowHead(Part):
    """Direction to the instance's center: the z, y and x of a vector that is 1 long in nm. The output is a tanh.

    With the axes yx it is that of the section: y and x of a vector that is 1 long, to the instance's center in the section.
    """

    kind: Literal["flow"]
    axes: Literal["zyx", "yx"] = "zyx"
    loss: Literal["smooth_l1", "mse"]
    weight: PositiveFloat

    @property
    def channels(self) -> int:
        """Output channels."""
        return len(self.axes)

    @model_serializer(mode="wrap")
    def _all_axes_are_not_told(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if (name, value) != ("axes", "zyx")}


class PolarityHead(Part):
    """Sides of synapses: presynaptic, postsynaptic, either. Ids 2k - 1 and 2k of the labels are the two sides of synapse k."""

    kind: Literal["polarity"]
    loss: Literal["dice_bce", "dice_balanced_bce", "balanced_bce", "focal", "tversky"]
    weight: PositiveFloat

    @property
    def channels(self) -> int:
        """Output channels."""
        return 3


class V1Head(Part):
    """What weights of PyTorch Connectomics v1 give and no other head means. It is predicted, and cannot be learned."""

    kind: Literal["v1"]
    target: str = Field(description="v1's code in TARGET_OPT")
    channels: PositiveInt
    weight: PositiveFloat


Head = Annotated[
    AffinityHead | BinaryHead | ClassHead | DistanceHead | FlowHead | PolarityHead | V1Head,
    Field(discriminator="kind"),
]

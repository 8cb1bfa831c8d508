"""How crops are varied: one record per effect. Lengths are in nm, gray values in standard deviations of the data."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from pytc_auto.schema.document import Part

Probability = Annotated[float, Field(ge=0, le=1)]
Missing = Literal["blank", "partial", "duplicated"]


class Effect(Part):
    """Something that happens to a crop, or to each section by itself, with a probability."""

    probability: Probability


class Affine(Effect):
    """Rotation and scaling in nanometers."""

    rotation_degrees: tuple[NonNegativeFloat, NonNegativeFloat, NonNegativeFloat] = Field(description="at most, about z, y, x")
    scale: NonNegativeFloat = Field(lt=0.5, description="at most this much larger or smaller")


class Elastic(Effect):
    """A smooth random displacement; in the plane of the sections from an anisotropy of 3 on."""

    grid_nm: PositiveFloat = Field(description="distance of the points that are displaced")
    displacement_nm: NonNegativeFloat = Field(description="standard deviation on each axis; twice as much at most")

    @model_validator(mode="after")
    def _never_folds(self) -> Self:
        if self.displacement_nm > self.grid_nm / 5:
            most = f"at most a fifth of grid_nm, {self.grid_nm / 5:g}, leaves tissue unfolded"
            raise ValueError(f"displacement_nm is {self.displacement_nm:g}, {most}. Use less")
        return self


class SectionShift(Effect):
    """One section (slip) or all from one on (step) move in the plane by at most ``shift_nm`` and turn."""

    shift_nm: NonNegativeFloat
    rotation_degrees: NonNegativeFloat = Field(0.0, lt=45, description="at most")


class DroppedSection(Effect):
    """A section is lost, and its labels with it: those on either side become neighbors."""


class CopyPaste(Effect):
    """Objects of the crop are flipped and pasted onto background elsewhere in it."""

    count: PositiveInt = Field(description="at most")


class GrayValues(Effect):
    """Contrast, brightness and gamma of the whole crop."""

    contrast: NonNegativeFloat
    brightness: NonNegativeFloat
    gamma: NonNegativeFloat


class HistogramShift(Effect):
    """A random monotonous curve through ``points`` gray values maps old to new ones."""

    points: Annotated[int, Field(ge=3, le=50)]


class SectionGrayValues(Effect):
    """Contrast and brightness drawn for each section along the cutting axis."""

    contrast: NonNegativeFloat
    brightness: NonNegativeFloat


class Stripes(Effect):
    """Charging and curtains: parallel stripes in the plane; probability per section, isotropic data: of the whole crop."""

    strength: NonNegativeFloat = Field(description="standard deviation across the stripes")
    width_nm: PositiveFloat = Field(description="of a stripe")


class LowResolution(Effect):
    """The crop is sampled down and up again."""

    factor: Annotated[float, Field(gt=1)] = Field(description="at most this many times coarser; in the plane if anisotropic")


class CoarseAxis(Effect):
    """Thicker sections: groups of them are averaged along the cutting axis and interpolated."""

    thickness_nm: PositiveFloat = Field(description="of the thick sections, at most")


class Blur(Effect):
    """Gaussian blur in the plane of the sections (isotropic data: on all axes); sigma at most."""

    sigma_nm: NonNegativeFloat


class OutOfFocus(Effect):
    """A section is blurred; probability per section, sigma at most."""

    sigma_nm: PositiveFloat


class MotionBlur(Effect):
    """A section is smeared along a line in the plane; probability per section."""

    length_nm: PositiveFloat = Field(description="of the line, at most")


class CutBlur(Effect):
    """Boxes of the crop are coarser than the rest."""

    count: PositiveInt = Field(description="of boxes, at most")
    size_nm: PositiveFloat = Field(description="of a box on each axis, at most")
    factor: Annotated[float, Field(gt=1)] = Field(description="at most this many times coarser")


class Fold(Effect):
    """The knife tears a section along a line or folds it over; probability per section. Labels stay."""

    width_nm: PositiveFloat = Field(description="of the gap or the fold, at most")


class Artifact(Effect):
    """Dirt: an irregular dark or bright stain on a section; probability per section."""

    size_nm: PositiveFloat = Field(description="across, at most")
    strength: NonNegativeFloat = Field(description="change of gray values in the stain, at most")


class MissingSection(Effect):
    """A section is blank, in part blank, or the image of the section before; probability per section. Labels stay."""

    kinds: list[Missing] = Field(["blank"], min_length=1, description="equally likely")


class Dropout(Effect):
    """Boxes of the crop are filled with one gray value."""

    count: PositiveInt = Field(description="of boxes, at most")
    size_nm: PositiveFloat = Field(description="of a box on each axis, at most")


class Noise(Effect):
    """Gaussian noise; sigma at most."""

    sigma: NonNegativeFloat


class CutNoise(Effect):
    """Boxes of the crop are noisier than the rest."""

    count: PositiveInt = Field(description="of boxes, at most")
    size_nm: PositiveFloat = Field(description="of a box on each axis, at most")
    sigma: NonNegativeFloat


class Effects(Part):
    """What is done to a crop, in this order; an effect that is not named, or null, is off."""

    affine: Affine | None = None
    elastic: Elastic | None = None
    section_shift: SectionShift | None = None
    dropped_section: DroppedSection | None = None
    copy_paste: CopyPaste | None = None
    intensity: GrayValues | None = None
    histogram_shift: HistogramShift | None = None
    section_intensity: SectionGrayValues | None = None
    stripes: Stripes | None = None
    low_resolution: LowResolution | None = None
    coarse_axis: CoarseAxis | None = None
    blur: Blur | None = None
    out_of_focus: OutOfFocus | None = None
    motion_blur: MotionBlur | None = None
    cut_blur: CutBlur | None = None
    fold: Fold | None = None
    artifact: Artifact | None = None
    missing_section: MissingSection | None = None
    dropout: Dropout | None = None
    noise: Noise | None = None
    cut_noise: CutNoise | None = None

    @model_serializer(mode="wrap")
    def _only_those_on(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}


class Augmentation(Part):
    """How crops are varied."""

    symmetries: PositiveInt = Field(description="order of the symmetry group: 1, or all that the plan's geometry allows")
    effects: Effects

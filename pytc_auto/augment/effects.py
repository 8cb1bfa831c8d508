"""All effects, by their name in the plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from pytc_auto.augment.artifact import apply_artifact, draw_artifact
from pytc_auto.augment.blur import apply_blur, draw_blur
from pytc_auto.augment.coarse_axis import apply_coarse_axis, draw_coarse_axis
from pytc_auto.augment.crop import Image
from pytc_auto.augment.cut_blur import apply_cut_blur, draw_cut_blur
from pytc_auto.augment.cut_noise import apply_cut_noise, draw_cut_noise
from pytc_auto.augment.dropout import apply_dropout, draw_dropout
from pytc_auto.augment.fold import apply_fold, draw_fold
from pytc_auto.augment.gray_values import apply_gray_values, draw_gray_values
from pytc_auto.augment.histogram_shift import apply_histogram_shift, draw_histogram_shift
from pytc_auto.augment.low_resolution import apply_low_resolution, draw_low_resolution
from pytc_auto.augment.missing_section import apply_missing_section, draw_missing_section
from pytc_auto.augment.motion_blur import apply_motion_blur, draw_motion_blur
from pytc_auto.augment.noise import apply_noise, draw_noise
from pytc_auto.augment.out_of_focus import apply_out_of_focus, draw_out_of_focus
from pytc_auto.augment.place import Place
from pytc_auto.augment.section_intensity import apply_section_intensity, draw_section_intensity
from pytc_auto.augment.stripes import apply_stripes, draw_stripes


@dataclass(frozen=True)
class GrayEffect:
    """An effect that changes the image and leaves the labels.

    Attributes:
        draw: (record of the plan, place, generator) to what happens; None where nothing does.
        apply: (image, what was drawn) to a new image of the same shape.
    """

    draw: Callable[[Any, Place, np.random.Generator], Any]
    apply: Callable[[Image, Any], Image]


GRAY_EFFECTS: Mapping[str, GrayEffect] = MappingProxyType(
    {
        "intensity": GrayEffect(draw_gray_values, apply_gray_values),
        "histogram_shift": GrayEffect(draw_histogram_shift, apply_histogram_shift),
        "section_intensity": GrayEffect(draw_section_intensity, apply_section_intensity),
        "stripes": GrayEffect(draw_stripes, apply_stripes),
        "low_resolution": GrayEffect(draw_low_resolution, apply_low_resolution),
        "coarse_axis": GrayEffect(draw_coarse_axis, apply_coarse_axis),
        "blur": GrayEffect(draw_blur, apply_blur),
        "out_of_focus": GrayEffect(draw_out_of_focus, apply_out_of_focus),
        "motion_blur": GrayEffect(draw_motion_blur, apply_motion_blur),
        "cut_blur": GrayEffect(draw_cut_blur, apply_cut_blur),
        "fold": GrayEffect(draw_fold, apply_fold),
        "artifact": GrayEffect(draw_artifact, apply_artifact),
        "missing_section": GrayEffect(draw_missing_section, apply_missing_section),
        "dropout": GrayEffect(draw_dropout, apply_dropout),
        "noise": GrayEffect(draw_noise, apply_noise),
        "cut_noise": GrayEffect(draw_cut_noise, apply_cut_noise),
    }
)
"""In the order in which they are applied. Those that move labels, too, are in ``compose``."""

"""Section, prediction, segmentation and truth side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pytc_auto.decoding.decode import decode
from pytc_auto.io.predictions import probabilities
from pytc_auto.report.pictures import alike, colors, overlay, side_by_side, small_picture
from pytc_auto.schema.heads import ClassHead, DistanceHead, FlowHead
from pytc_auto.schema.plan import Plan

if TYPE_CHECKING:
    from pytc_auto.pipeline.validation import HeldOut, Trial

Array = npt.NDArray[Any]


def prediction_view(stored_cyx: npt.NDArray[np.uint8], plan: Plan) -> Array:
    """One section of a prediction for a person to see: the first three channels as colors, the classes, or one channel."""
    values = probabilities(stored_cyx[:, None], plan.heads, plan.inference.logit_scale)[:, 0]
    if isinstance(plan.heads[0], ClassHead):
        return colors(values.argmax(0))
    if isinstance(plan.heads[0], DistanceHead | FlowHead):
        values = np.float32(0.5) * (1 + values)
    if plan.heads[0].channels >= 3:
        return (255 * values[:3].transpose(1, 2, 0)).astype(np.uint8)
    return values[0]


def result_picture(  # noqa: PLR0913
    path: Path,
    plan: Plan,
    *,
    image: Array,
    stored: Array | None,
    segmentation: Array,
    truth: Array | None,
    section: int | None = None,
) -> None:
    """The middle section of a volume: image, prediction, segmentation and, where it is known, truth.

    Args:
        path: PNG to write.
        plan: Tells what the channels are.
        image: Gray values, (Z, Y, X).
        stored: uint8 prediction, (C, Z, Y, X).
        segmentation: (Z, Y, X).
        truth: (Z, Y, X).
        section: Number of the section that is shown, in its volume; None for the middle of what is given.
    """
    panels = _panels(plan, image=image, stored=stored, segmentation=segmentation, truth=truth)
    side_by_side(panels, path, title=f"{plan.name}, section {image.shape[0] // 2 if section is None else section}")


def _panels(plan: Plan, *, image: Array, stored: Array | None, segmentation: Array, truth: Array | None) -> dict[str, Array]:
    """The middle section, by what is shown of it."""
    middle = image.shape[0] // 2
    section = image[middle]
    classes = isinstance(plan.heads[0], ClassHead)
    if truth is not None and not classes:
        segmentation = alike(segmentation, truth)
    panels: dict[str, Array] = {"image": section}
    if stored is not None:
        panels["prediction"] = prediction_view(stored[:, min(middle, stored.shape[1] - 1)], plan)
    panels["segmentation"] = overlay(section, segmentation[middle])
    if truth is not None:
        panels["truth"] = overlay(section, truth[middle])
    return panels


def progress_picture(held_out: HeldOut, number: int, stored: npt.NDArray[np.uint8], segmentation: Array) -> npt.NDArray[np.uint8]:
    """A held-out region as it is predicted so far, small, (Y, X, 3)."""
    truth, _ = held_out.truth(number)
    image = held_out.image(number)
    panels = _panels(held_out.plan, image=image, stored=stored, segmentation=segmentation, truth=truth)
    return small_picture(panels, title=f"{held_out.plan.name}, section {image.shape[0] // 2}")


def validation_picture(held_out: HeldOut, stored: npt.NDArray[np.uint8], best: Trial, path: Path) -> None:
    """The first held-out region with the decoder that did best."""
    segmentation = decode(stored, held_out.plan, best.choice)
    truth, _ = held_out.truth(0)
    result_picture(path, held_out.plan, image=held_out.image(0), stored=stored, segmentation=segmentation, truth=truth)

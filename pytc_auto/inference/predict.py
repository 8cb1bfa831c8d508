"""A plan's way of prediction, and how what it gives is stored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pytc_auto.geometry import Box
from pytc_auto.inference.quantize import quantize_in_place
from pytc_auto.inference.window import Logits, Predictor, Progress
from pytc_auto.inference.window_v1 import V1Predictor
from pytc_auto.io.predictions import shares_to_uint8, to_uint8
from pytc_auto.io.volume import Volume
from pytc_auto.schema.inference_v1 import V1Inference
from pytc_auto.schema.plan import Plan

AnyPredictor = Predictor | V1Predictor


def predictor(networks: Sequence[nn.Module], plan: Plan, *, device: str = "cpu", symmetries: int | None = None) -> AnyPredictor:
    """Networks ready to predict any box of any image, in the way that the plan's ``inference`` is.

    Args:
        networks: Members of an ensemble; moved to ``device``.
        plan: Heads, intensity, and how to predict.
        device: As torch names it.
        symmetries: Predictions averaged per patch; the plan's number if None.
    """
    kind = V1Predictor if isinstance(plan.inference, V1Inference) else Predictor
    return kind(networks, plan, device=device, symmetries=symmetries)


def predict_box(  # noqa: PLR0913
    networks: Sequence[nn.Module],
    image: Volume,
    plan: Plan,
    box: Box,
    *,
    device: str = "cpu",
    symmetries: int | None = None,
    progress: Progress | None = None,
) -> Logits:
    """Predict one box; for many boxes of one volume make a ``predictor`` once.

    Args:
        networks: Members of an ensemble; their logits are averaged. They are moved to ``device``.
        image: Gray values on the working grid, not normalized.
        plan: Patch, overlap, intensity, precision, heads.
        box: Inside the image.
        device: As torch names it.
        symmetries: Predictions averaged per patch; the plan's number if None.
        progress: Told the share of the patches that is done, after each.

    Returns:
        (C, Z, Y, X) logits of the box, float32, all heads in order. The same for a voxel whatever the box. A patch in which
        the image is constant (padding, for example) is not computed; a voxel that only such patches cover is ``UNSEEN``.
        Where the plan predicts as v1 did, values from 0 on instead of logits.

    Raises:
        DataError: The image has values that are not finite, or is damaged.
        ModelError: The network gave values that are not finite.
    """
    return predictor(networks, plan, device=device, symmetries=symmetries).predict(image, box, progress)


def quantized(values_czyx: torch.Tensor, plan: Plan) -> torch.Tensor:
    """What a plan's predictor gives, as it is stored, (C, Z, Y, X), on the same device. The values may be overwritten."""
    if isinstance(plan.inference, V1Inference):
        return torch.from_numpy(shares_to_uint8(values_czyx.numpy()))
    return quantize_in_place(values_czyx, plan.heads)


def stored(values_czyx: Logits, plan: Plan) -> npt.NDArray[np.uint8]:
    """What a plan's predictor gives, as it is stored, (C, Z, Y, X)."""
    if isinstance(plan.inference, V1Inference):
        return shares_to_uint8(values_czyx)
    return to_uint8(values_czyx, plan.heads)

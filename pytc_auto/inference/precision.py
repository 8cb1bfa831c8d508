"""In which precision a model predicts on this machine."""

from __future__ import annotations

import torch

from pytc_auto.models.precision import computed_in, half_precision
from pytc_auto.schema.plan import BY_HAND, Plan, Precision


def choose_precision(plan: Plan, device: str) -> Precision:
    """The fastest precision that is sound for a model here. The same for the same plan on the same kind of machine.

    What a person has set is kept, as far as the device can. Else it is the 16 bits that the device has arithmetic for, unless the
    training found fp32 faster on such a device; fp16 is for models that were trained in 16 bits.

    Args:
        plan: In which precision the model was trained, and on what.
        device: As torch names it.
    """
    kind, half = torch.device(device).type, half_precision(device)
    if plan.why["precision"].rule == BY_HAND:
        return computed_in(plan.precision, device)
    if plan.precision == "fp32" and (kind == plan.machine.device or half != "bf16"):
        return "fp32"
    return half or "fp32"

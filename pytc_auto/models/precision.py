"""In which precision a device computes."""

from __future__ import annotations

import torch

from pytc_auto.schema.plan import Precision

DTYPE = {"bf16": torch.bfloat16, "fp16": torch.float16}


def half_precision(device: str) -> Precision | None:
    """The 16-bit precision that a device has arithmetic for; None if it has none.

    A CPU without it (before AVX-512) convolves in bf16 a hundred times slower than in fp32. A GPU before Ampere has fp16 alone.
    """
    if torch.device(device).type == "cpu":
        return "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else None
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def computed_in(precision: Precision, device: str) -> Precision:
    """The wanted precision, or what stands in for it: 16 bits that the device has, else fp32.

    fp16 is a GPU's; a CPU computes it in fp32.
    """
    half = half_precision(device)
    if precision == "fp32" or half is None or (precision == "fp16" and torch.device(device).type == "cpu"):
        return "fp32"
    return precision if precision == "fp16" else half


def autocast(precision: Precision, device: str) -> torch.autocast:
    """Compute in a precision, as far as the device can."""
    chosen = computed_in(precision, device)
    return torch.autocast(torch.device(device).type, DTYPE.get(chosen), enabled=chosen in DTYPE)

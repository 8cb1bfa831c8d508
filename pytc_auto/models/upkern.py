"""Weights of one network as the start of another: what is alike is copied, kernels that are to be larger are resampled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional

from pytc_auto.models.weights import tensors


@dataclass
class TakenOver:
    """What became of the weights of another network.

    Attributes:
        copied: Names of those that are alike.
        grown: Names of kernels that were resampled.
        left: What the network has fresh, with the two shapes where there was one of another shape.
        unused: Names that the network does not have.
    """

    copied: list[str] = field(default_factory=list)
    grown: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def take_over(network: nn.Module, state: Mapping[str, torch.Tensor]) -> TakenOver:
    """Fill a network, in place, with the weights of another as far as they go. The rest stays as it is.

    Args:
        network: To be started.
        state: The other's tensors by name. Those of the same name and shape are copied; a kernel with the same features and a
            longer extent is resampled.

    Source:
        Roy et al. 2023, MICCAI (UpKern).
    """
    wanted, taken = tensors(network), TakenOver()
    taken.unused = [name for name in state if name not in network.state_dict()]
    with torch.no_grad():
        for name, tensor in wanted.items():
            given = state.get(name)
            if given is not None and given.shape == tensor.shape:
                tensor.copy_(given)
                taken.copied.append(name)
            elif given is not None and _grows(given.shape, tensor.shape):
                tensor.copy_(grow_kernel(given, tensor.shape[2:]))
                taken.grown.append(name)
            else:
                shapes = "" if given is None else f" (there {list(given.shape)}, here {list(tensor.shape)})"
                taken.left.append(f"{name}{shapes}")
    return taken


def grow_kernel(kernel_oizyx: torch.Tensor, extent: torch.Size) -> torch.Tensor:
    """A kernel resampled trilinearly to another extent; the values, not their sum, are kept, for a norm follows."""
    return functional.interpolate(kernel_oizyx.float(), size=list(extent), mode="trilinear", align_corners=False)


def _grows(given: torch.Size, wanted: torch.Size) -> bool:
    """Whether it is a kernel of the same features and nowhere a shorter extent."""
    alike = len(given) == len(wanted) == 5 and given[:2] == wanted[:2]
    return alike and all(g <= w for g, w in zip(given[2:], wanted[2:], strict=True))

"""Copies between this machine's memory and a GPU, made while the GPU computes something else. Without a GPU nothing is copied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch


@dataclass(frozen=True)
class Sent:
    """A tensor on its device, which may not be complete yet.

    Attributes:
        tensor: To be used after ``received`` only.
        complete: When it is; None if it is complete already.
    """

    tensor: torch.Tensor
    complete: torch.cuda.Event | None = None

    def received(self) -> torch.Tensor:
        """The tensor, for what this thread computes next."""
        if self.complete is not None:
            stream = torch.cuda.current_stream(self.tensor.device)
            stream.wait_event(self.complete)
            self.tensor.record_stream(stream)
        return self.tensor


class Transfer:
    """One direction of copies; each has a stream of its own.

    Args:
        device: As torch names it.
    """

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self.stream = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None

    def to_device(self, array: npt.NDArray[Any]) -> Sent:
        """Send an array; this does not wait for what the device computes."""
        here = torch.from_numpy(array)
        if self.stream is None:
            return Sent(here.to(self.device))
        with torch.cuda.stream(self.stream):
            tensor = here.pin_memory().to(self.device, non_blocking=True)
            return Sent(tensor, self.stream.record_event())

    def to_memory(self, sent: Sent) -> npt.NDArray[Any]:
        """Fetch an array; this waits until it is computed, and for nothing that is computed after it."""
        if self.stream is None:
            return sent.received().cpu().numpy()
        with torch.cuda.stream(self.stream):
            tensor = sent.received()
            here = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            here.copy_(tensor, non_blocking=True)
        self.stream.synchronize()
        return here.numpy()


def computed(tensor: torch.Tensor) -> Sent:
    """What this thread has a device compute, to be fetched by another thread."""
    if tensor.device.type != "cuda":
        return Sent(tensor)
    return Sent(tensor, torch.cuda.current_stream(tensor.device).record_event())

"""Checkpoints of v1, read so that nothing in the file can run, and loaded strictly."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytc_auto.errors import ModelError
from pytc_auto.models.v1.repvgg import Deployed, deployed
from pytc_auto.models.weights import load_state, some

STATE, COUNT, WRAPPER = "state_dict", "n_averaged", "module."
"""Names in v1's files: the weights; how many were averaged; what wrappers for averages and devices put ahead of each name."""
ADVICE = "Use the configuration that lies beside the checkpoint (config.yaml in its folder), or give the --base that went with it"
UNREAD = "Weights only load failed"
"""What torch says of files that it did not write, too."""
ASKED = re.compile(r"GLOBAL (\S+)")


class _Ignored:
    """Stands in for numpy's scalars and arrays in the state of an optimizer, which is not read: it takes all and does nothing."""

    def __init__(self, *_arguments: object) -> None:
        pass

    def __setstate__(self, _state: object) -> None:
        pass


NUMPY: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_Ignored, name)
    for name in (
        "numpy.dtype",
        "numpy.ndarray",
        *(f"numpy.{core}.multiarray.{function}" for core in ("core", "_core") for function in ("scalar", "_reconstruct")),
    )
]


def read_v1_checkpoint(path: Path | str) -> dict[str, torch.Tensor]:
    """The weights of a ``.pth.tar`` of v1: of an iteration, of the best one, or averaged.

    Optimizer and schedule are left out, and so are the names of wrappers ahead of each weight's name.

    Args:
        path: As v1 saved it.

    Returns:
        Tensors on the CPU by v1's names, floating ones in float32.

    Raises:
        ModelError: It is missing, truncated or no checkpoint, holds no weights, or asks for code. None is run.
    """
    path = Path(path)
    found = _loaded(path)
    state = found.get(STATE, found) if isinstance(found, dict) else None
    if not isinstance(state, dict) or not state or (STATE not in found and not _all_tensors(state)):
        held = f"its entries are {some([str(key) for key in found])}" if isinstance(found, dict) and found else "it has none"
        raise ModelError(f"{path}: has no entry {STATE}, {held}. Give a checkpoint_*.pth.tar as v1 saved it.")
    state = {name: tensor for name, tensor in state.items() if name != COUNT}
    other = [str(name) for name, tensor in state.items() if not (isinstance(name, str) and _dense(tensor))]
    if other or not state:
        raise ModelError(f"{path}: {STATE} has entries that are no tensors: {some(other)}. Give a checkpoint as v1 saved it.")
    while all(name.startswith(WRAPPER) for name in state):
        state = {name.removeprefix(WRAPPER): tensor for name, tensor in state.items()}
    return {name: _plain(tensor) for name, tensor in state.items()}


def load_v1(network: nn.Module, state: dict[str, torch.Tensor], where: Path | str) -> None:
    """Fill a network of v1, in place, with the weights of a checkpoint, by name and shape.

    The branches of a repvgg are joined where the network has single convolutions, as v1 did for prediction.

    Args:
        network: Built from a plan.
        state: As ``read_v1_checkpoint`` gives it.
        where: They come from; for messages.

    Raises:
        ModelError: Names or shapes are not the network's, or a weight is NaN or infinite. The network is then as it was.
    """
    if any(isinstance(module, Deployed) for module in network.modules()):
        state = deployed(state)
    if not state.keys() & network.state_dict().keys():
        raise ModelError(
            f"{where}: none of its weights has a name of this network's, they are {some(list(state))}. Use the configuration of "
            "its architecture; networks from before 2021 (unet_residual_3d and others) are not carried over."
        )
    load_state(network, state, where, advice=ADVICE)


def _loaded(path: Path) -> Any:
    """What the file holds."""
    if not path.is_file():
        raise ModelError(f"{path}: is missing, or no file. Give a checkpoint_*.pth.tar as v1 saved it.")
    try:
        with torch.serialization.safe_globals(NUMPY), warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        asked = ASKED.search(str(error))
        if asked:
            raise ModelError(
                f"{path}: asks for {asked[1]}, which weights have no need of; nothing in it was run. "
                "Do not open it elsewhere; get it from its source again."
            ) from error
        said = (str(error).splitlines() or [type(error).__name__])[0][:120]
        said = "torch did not write it" if said.startswith(UNREAD) else said
        raise ModelError(f"{path}: is no whole checkpoint ({said}). Copy it again, or use another iteration's.") from error


def _all_tensors(state: dict[Any, Any]) -> bool:
    return all(isinstance(tensor, torch.Tensor) for tensor in state.values())


def _dense(tensor: object) -> bool:
    """Whether it is a plain tensor with values."""
    return isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided and tensor.device.type == "cpu"


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return (tensor.detach().float() if tensor.is_floating_point() else tensor.detach()).contiguous()

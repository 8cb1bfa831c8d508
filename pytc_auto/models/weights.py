"""A network's weights as a safetensors file: written whole or not at all, read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from pytc_auto.errors import ModelError, OutputError
from pytc_auto.files import whole

SHOWN = 5
BETTER = "Train again, or use another checkpoint"
EXPORTED = "Use the plan.yaml exported with them"


def save_weights(network: nn.Module, path: Path | str) -> None:
    """Write all parameters and buffers, float32 or as they are, under their names.

    Raises:
        ModelError: A weight is NaN or infinite.
        OutputError: The file cannot be written; an older one of the same name is kept.
    """
    path = Path(path)
    held = {name: t.detach().cpu().contiguous() for name, t in tensors(network).items()}
    _check_finite(held, path, "The training went astray; go back to an earlier checkpoint or lower the learning rate")
    try:
        with whole(path) as partial:
            save_file(held, partial)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path}: the weights cannot be written ({error}). Make room, or choose another folder.") from error


def load_weights(network: nn.Module, path: Path | str) -> None:
    """Fill a network, in place, with weights that were saved from one of the same topology.

    Raises:
        ModelError: The file is missing or damaged, its names or shapes are not the network's, or a weight is NaN or infinite.
            The network is then as it was.
    """
    load_state(network, read_weights(path), path)


def read_weights(path: Path | str) -> dict[str, torch.Tensor]:
    """The tensors of a file by name.

    Raises:
        ModelError: It is missing or damaged, or a value is NaN or infinite.
    """
    path = Path(path)
    try:
        saved: dict[str, torch.Tensor] = load_file(path, device="cpu")
    except FileNotFoundError as error:
        raise ModelError(f"{path}: is missing. A model folder holds plan.yaml and one fold_K.safetensors per member.") from error
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError(
            f"{path}: is not a whole safetensors file ({error}). Copy the model again, or export it again."
        ) from error
    _check_finite(saved, path, BETTER)
    return saved


def load_state(network: nn.Module, state: Mapping[str, torch.Tensor], where: Path | str, *, advice: str = EXPORTED) -> None:
    """Fill a network, in place, with tensors by name; ``where`` they come from and what else to use is for messages.

    Raises:
        ModelError: Names or shapes are not the network's, or a weight is NaN or infinite. The network is then as it was.
    """
    wanted = tensors(network)
    faults = _faults(network, wanted, state)
    if faults:
        listed = ". ".join(faults)
        raise ModelError(f"{where}: the weights do not fit the network. {listed}. {advice}.")
    _check_finite(state, where, BETTER)
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(state[name])


def tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    """What a network consists of, each tensor once although a module may be held under several names."""
    found: dict[int, tuple[str, torch.Tensor]] = {}
    for name, tensor in network.state_dict(keep_vars=True).items():
        found.setdefault(id(tensor), (name, tensor))
    return dict(found.values())


def _faults(network: nn.Module, wanted: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]) -> list[str]:
    """Where names and shapes differ, a few of each sort."""
    known = network.state_dict()
    sorts = {
        "Missing": [n for n in wanted if n not in state],
        "Unexpected": [n for n in state if n not in known],
        "Of another shape": [
            f"{n} (given {list(state[n].shape)}, network {list(t.shape)})"
            for n, t in wanted.items()
            if n in state and state[n].shape != t.shape
        ],
    }
    return [f"{sort}: {some(names)}" for sort, names in sorts.items() if names]


def some(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _check_finite(held: Mapping[str, torch.Tensor], where: Path | str, advice: str) -> None:
    """Refuse tensors with NaN or infinite values, by name."""
    bad = [name for name, t in held.items() if not bool(torch.isfinite(t).all())]
    if bad:
        raise ModelError(f"{where}: NaN or infinite values in {some(bad)}. {advice}.")

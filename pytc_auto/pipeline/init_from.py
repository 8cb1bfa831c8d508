"""``pytc train --init-from MODEL``: a fold starts from another model's weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytc_auto.errors import ModelError, PytcError
from pytc_auto.schema.plan import Plan


def start_from(network: Any, plan: Plan, model: Path, number: int, say: Callable[[str], None]) -> Path:
    """Fill a fresh network with the weights of another model as far as they go, and say what was not taken over.

    Args:
        network: Of ``plan``; it is filled in place.
        plan: What is to be trained.
        model: Model folder. The member of the same fold is taken where there is one, else the first.
        number: Of the fold.
        say: Told what was taken over and what was not.

    Returns:
        The file of weights.

    Raises:
        ModelError: It is not a model folder, a file is damaged, or nothing fits.
    """
    from pytc_auto.models.upkern import take_over
    from pytc_auto.models.weights import read_weights, some

    other, weights = _opened(model, number)
    taken = take_over(network, read_weights(weights))
    if not taken.copied and not taken.grown:
        raise ModelError(
            f"{weights}: nothing fits. It is a {other.network.kind} with features {other.network.features}, the plan has a "
            f"{plan.network.kind} with {plan.network.features}. Plan with the topology of {model / 'plan.yaml'}, or start afresh."
        )
    grown = f", {len(taken.grown)} kernels are grown" if taken.grown else ""
    say(f"Starting from {weights}: {len(taken.copied)} tensors are copied{grown}")
    if taken.left:
        say(f"Not taken over, these start afresh: {some(taken.left)}")
    if taken.unused:
        say(f"Not taken over, the network has no such: {some(taken.unused)}")
    return weights


def ignored(model: Path, number: int) -> str:
    """What is said of a model that a fold does not start from because it has begun; if it is none, that is said, too."""
    try:
        _opened(model, number)
    except PytcError as error:
        return f"--init-from is ignored, and could not be used: {error}"
    return "--init-from is ignored"


def _opened(model: Path, number: int) -> tuple[Plan, Path]:
    """Plan and weights of a model folder."""
    members = sorted(model.glob("fold_*.safetensors"))
    if not members or not (model / "plan.yaml").is_file():
        raise ModelError(
            f"{model}: is no model folder with plan.yaml and fold_K.safetensors. Give a trained run, its name or its model."
        )
    same = model / f"fold_{number}.safetensors"
    return Plan.load(model / "plan.yaml"), same if same in members else members[0]

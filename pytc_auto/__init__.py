"""nnU-Net for electron-microscopy connectomics.

The verbs of the command line are functions here: ``plan``, ``train``, ``predict``, ``evaluate``, ``sweep``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytc_auto.pipeline.evaluation import evaluate
    from pytc_auto.pipeline.planning import plan
    from pytc_auto.pipeline.prediction import predict
    from pytc_auto.pipeline.sweep import sweep
    from pytc_auto.pipeline.training import train

__all__ = ["evaluate", "plan", "predict", "sweep", "train"]

_VERBS = {
    "plan": "pytc_auto.pipeline.planning",
    "train": "pytc_auto.pipeline.training",
    "predict": "pytc_auto.pipeline.prediction",
    "evaluate": "pytc_auto.pipeline.evaluation",
    "sweep": "pytc_auto.pipeline.sweep",
}


def __getattr__(name: str) -> Any:
    """Import a verb when it is first used; torch takes seconds."""
    if name in _VERBS:
        return getattr(import_module(_VERBS[name]), name)
    raise AttributeError(f"module 'pytc_auto' has no attribute {name!r}")

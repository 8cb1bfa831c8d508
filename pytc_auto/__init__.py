"""nnU-Net for electron-microscopy connectomics.

The verbs of the command line are functions here; ``ConnectomicsModule`` and ``ConnectomicsDataModule`` are what Lightning trains.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytc_auto.data.module import ConnectomicsDataModule
    from pytc_auto.pipeline.decoding import decode
    from pytc_auto.pipeline.evaluation import evaluate
    from pytc_auto.pipeline.import_v1 import import_v1
    from pytc_auto.pipeline.planning import plan
    from pytc_auto.pipeline.prediction import predict
    from pytc_auto.pipeline.selection import select
    from pytc_auto.pipeline.status import status
    from pytc_auto.pipeline.sweep import sweep
    from pytc_auto.pipeline.training import train
    from pytc_auto.pipeline.view import view
    from pytc_auto.pipeline.workers import make_executor
    from pytc_auto.training.module import ConnectomicsModule

__all__ = [
    "ConnectomicsDataModule",
    "ConnectomicsModule",
    "decode",
    "evaluate",
    "import_v1",
    "make_executor",
    "plan",
    "predict",
    "select",
    "status",
    "sweep",
    "train",
    "view",
]

_LATER = {
    "ConnectomicsDataModule": "pytc_auto.data.module",
    "ConnectomicsModule": "pytc_auto.training.module",
    "decode": "pytc_auto.pipeline.decoding",
    "evaluate": "pytc_auto.pipeline.evaluation",
    "import_v1": "pytc_auto.pipeline.import_v1",
    "make_executor": "pytc_auto.pipeline.workers",
    "plan": "pytc_auto.pipeline.planning",
    "predict": "pytc_auto.pipeline.prediction",
    "select": "pytc_auto.pipeline.selection",
    "status": "pytc_auto.pipeline.status",
    "sweep": "pytc_auto.pipeline.sweep",
    "train": "pytc_auto.pipeline.training",
    "view": "pytc_auto.pipeline.view",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first used; torch takes seconds."""
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'pytc_auto' has no attribute {name!r}")

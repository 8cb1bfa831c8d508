"""Who is told the losses and scores: TensorBoard and a CSV file always, others when asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from pytorch_lightning.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from pytc_auto.errors import OutputError


def loggers(names: Sequence[str], folder: Path, plan_name: str) -> list[Logger]:
    """The loggers of a fold.

    Args:
        names: Of those beside TensorBoard and CSV.
        folder: The fold's; what they write lies in it.
        plan_name: What the training is called.

    Raises:
        OutputError: A name is not known, or its package is not installed.
    """
    unknown = [name for name in names if name not in MORE]
    if unknown:
        raise OutputError(f"--logger {', '.join(unknown)}: is not known. Known: {', '.join(MORE)}.")
    for name in names:
        if find_spec(name) is None:
            raise OutputError(f"--logger {name} needs {name}. Run: pip install 'pytc-auto[{name}]'")
    standard = [CSVLogger(folder, name="", version=""), TensorBoardLogger(folder, name="", version="events")]
    return [*standard, *(MORE[name](folder, plan_name) for name in dict.fromkeys(names))]


def _wandb(folder: Path, plan_name: str) -> Logger:
    """Online for who is logged in; otherwise ``wandb sync`` sends later what is in the folder."""
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    return WandbLogger(name=f"fold {folder.name}", save_dir=folder, project=plan_name, offline=wandb.api.api_key is None)


def _mlflow(folder: Path, plan_name: str) -> Logger:
    """A store in the fold's folder: ``mlflow ui --backend-store-uri`` shows it."""
    folder.mkdir(parents=True, exist_ok=True)
    return MLFlowLogger(
        experiment_name=plan_name,
        run_name=f"fold {folder.name}",
        tracking_uri=f"sqlite:///{(folder / 'mlflow.db').resolve()}",
        artifact_location=(folder / "mlflow").resolve().as_uri(),
    )


MORE: MappingProxyType[str, Callable[[Path, str], Logger]] = MappingProxyType({"wandb": _wandb, "mlflow": _mlflow})

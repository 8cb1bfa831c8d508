"""Who is told the losses and scores: TensorBoard and a CSV file always, others when asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from pytorch_lightning.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from pytc_auto.errors import OutputError

NEEDS = MappingProxyType({"wandb": ("wandb",), "mlflow": ("mlflow", "sqlalchemy")})
"""Packages; mlflow's small edition has no database, and mlflow keeps nothing in plain files any more."""


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
        if any(find_spec(package) is None for package in NEEDS[name]):
            raise OutputError(f"--logger {name} needs {name}. Run: pip install 'pytc-auto[{name}]'")
    standard = [CSVLogger(folder, name="", version=""), TensorBoardLogger(folder, name="", version="events")]
    wanted = dict.fromkeys(names if rank_zero_only.rank == 0 else ())
    return [*standard, *(MORE[name](folder, plan_name) for name in wanted)]


def close(used: Sequence[Logger]) -> None:
    """End what would go on into the next training of this process."""
    if any(isinstance(logger, WandbLogger) for logger in used):
        import wandb

        wandb.finish()


def _name(folder: Path) -> str:
    """Such as folds/0, or 0/refit."""
    return f"{folder.parent.name}/{folder.name}"


def _wandb(folder: Path, plan_name: str) -> Logger:
    """Online for who is logged in; otherwise ``wandb sync`` sends later what is in the folder."""
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    mode = "online" if wandb.login(prompt=False) else "offline"
    return WandbLogger(name=_name(folder), save_dir=folder, project=plan_name, mode=mode)


def _mlflow(folder: Path, plan_name: str) -> Logger:
    """A store in the fold's folder: ``mlflow ui --backend-store-uri`` shows it."""
    folder.mkdir(parents=True, exist_ok=True)
    return MLFlowLogger(
        experiment_name=plan_name,
        run_name=_name(folder),
        tracking_uri=f"sqlite:///{(folder / 'mlflow.db').resolve()}",
        artifact_location=(folder / "mlflow").resolve().as_uri(),
    )


MORE: MappingProxyType[str, Callable[[Path, str], Logger]] = MappingProxyType({"wandb": _wandb, "mlflow": _mlflow})

"""``pytc import-v1``: a configuration of PyTorch Connectomics v1 becomes a run, its checkpoint a model folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytc_auto.errors import DataError, ModelError, OutputError
from pytc_auto.geometry import Zyx, ZyxFloat
from pytc_auto.legacy.config import V1Config, load_config
from pytc_auto.legacy.folds import folds_of, in_order
from pytc_auto.legacy.network import carried_over
from pytc_auto.legacy.prediction import triple
from pytc_auto.legacy.translate import Given, Row, Translation, refuse_nulls, translate
from pytc_auto.legacy.volumes import Named, named_volumes
from pytc_auto.pipeline.runs import Run
from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.memory import memory_bytes
from pytc_auto.schema.dataset import Dataset, VolumeEntry
from pytc_auto.schema.plan import Plan

MOST_ZOOM = 100.0
MACHINE = "M"
"""What an imported plan says it is made for; v1 did not ask."""


@dataclass(frozen=True)
class Imported:
    """What ``pytc import-v1`` made.

    Attributes:
        run: With plan.yaml; with dataset.yaml where the configuration names volumes.
        plan: To train.
        rows: What has no counterpart, or another one.
        model: Folder for ``pytc predict``; None without weights.
    """

    run: Run
    plan: Plan
    rows: list[Row]
    model: Path | None


def import_v1(
    config: str | Path,
    pairs: Sequence[str] = (),
    *,
    base: str | Path | None = None,
    weights: str | Path | None = None,
    out: str | Path | None = None,
    voxel_size_nm: ZyxFloat | None = None,
) -> Imported:
    """Make a run of a v1 configuration, and a model folder of its checkpoint.

    Args:
        config: YAML file.
        pairs: Key, value, key, value …, as on v1's command line.
        base: YAML file that is read first, as v1's ``--config-base``.
        weights: Checkpoint, ``.pth.tar``.
        out: Folder of the run; ``runs/`` and the configuration's name by default.
        voxel_size_nm: (z, y, x) of the volumes, which v1 did not know; read from the files where they tell it.

    Raises:
        PlanError: A file cannot be read, or v1 itself could not use the configuration; then its own reason is told.
        ModelError: The weights are no checkpoint of v1, or not of this network; all keys that differ are listed.
        OutputError: The run has been trained already.
    """
    run = Run(Path(out) if out is not None else Path("runs") / Path(config).stem)
    if run.started:
        raise OutputError(f"{run.folder}: was trained already. Choose another -o, or delete it.")
    loaded = load_config(config, base=base, pairs=pairs)
    refuse_nulls(loaded, str(config))
    named = named_volumes(loaded, Path.cwd())
    volumes = in_order(named.volumes)
    found = _look(volumes)
    size = voxel_size_nm or found.voxel_size_nm
    given = Given(
        name=run.folder.resolve().name,
        machine=PRESETS[MACHINE].replace(precision="fp32"),
        memory=_memory,
        voxel_size_nm=size,
        folds=folds_of(volumes, triple(loaded["MODEL.INPUT_SIZE"], "MODEL.INPUT_SIZE", str(config)), _seen(found.shape, loaded)),
    )
    made = translate(loaded, given, str(config))
    if weights is not None:
        _export(run, Path(weights), made, loaded)
    made.plan.save(run.plan_file)
    if volumes:
        _dataset(volumes, made.plan, loaded).save(run.dataset_file)
    rows = [*_size_row(made.plan), *made.rows, *(Row(key, str(loaded[key]), text) for key, text in named.told)]
    return Imported(run, made.plan, rows, run.model if weights is not None else None)


@dataclass(frozen=True)
class _Looked:
    """What the files of a configuration tell, as far as they are there."""

    voxel_size_nm: ZyxFloat | None
    shape: Zyx | None


def _look(volumes: Sequence[Named]) -> _Looked:
    """The first voxel size that a volume tells, and the shape of the first volume with labels."""
    from pytc_auto.io.open import open_volume

    size = shape = None
    for volume in volumes:
        try:
            image = open_volume(volume.image)
        except DataError:
            continue
        size = size or image.voxel_size_nm
        shape = shape or (image.shape if volume.labels else None)
    return _Looked(size, shape)


def _seen(shape: Zyx | None, config: V1Config) -> Zyx | None:
    """A volume's shape on the grid of the training, where the factors are such."""
    from pytc_auto.io.zoom import zoomed_shape

    factors = config["DATASET.IMAGE_SCALE"] or config["DATASET.DATA_SCALE"]
    if shape is None or len(factors) != len(shape) or not all(isinstance(f, float) and 0 < f < MOST_ZOOM for f in factors):
        return shape
    return zoomed_shape(shape, tuple(factors))


def _memory(plan: Plan) -> int:
    return memory_bytes(plan.network, plan.patch, plan.outputs, plan.sampling.batch, precision="fp32")


def _size_row(plan: Plan) -> list[Row]:
    """What stands in for a voxel size that nobody told."""
    if plan.voxel_size_known:
        return []
    told = (
        "stands in, for lengths in nm; volumes of any voxel size are predicted. Give --voxel-size Z,Y,X to train in true lengths"
    )
    return [Row("voxel size", "unknown to v1", f"{' × '.join(f'{s:g}' for s in plan.voxel_size_nm)} nm {told}")]


def _dataset(volumes: Sequence[Named], plan: Plan, config: V1Config) -> Dataset:
    """Where the volumes are, whether their files are there or not."""
    entries = []
    for number, volume in enumerate(volumes):
        entries.append(
            VolumeEntry(
                name=f"{number}_{Path(volume.image.partition(':')[0]).stem}",
                image=volume.image,
                labels=volume.labels,
                mask=volume.mask,
                voxel_size_nm=plan.voxel_size_nm,
                axes="zyx",
                unlabeled_sections=[],
            )
        )
    root = Path(str(config["DATASET.INPUT_PATH"])).absolute()
    return Dataset(root=str(root), task=plan.task, unlabeled=[], class_names={}, volumes=entries)


def _export(run: Run, weights: Path, made: Translation, config: V1Config) -> None:
    """Write the model folder.

    Raises:
        ModelError: The architecture is not carried over, or the file is no checkpoint of it.
        OutputError: There is a model folder already.
    """
    if not carried_over(config):
        name = config["MODEL.ARCHITECTURE"]
        raise ModelError(f"{weights}: weights of {name} are not carried over. Import without --weights, and train the plan anew.")
    from pytc_auto.pipeline.v1_model import weights_to_model

    weights_to_model(weights, made.model_plan, run.model, made.decoder)

"""``pytc predict``: one global segmentation per volume, block by block, resumable."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytc_auto.errors import DataError, ModelError, OutputError
from pytc_auto.geometry import Box, ZyxFloat
from pytc_auto.io.open import open_volume
from pytc_auto.io.volume import Volume
from pytc_auto.schema.model import DecoderChoice
from pytc_auto.schema.plan import InstanceLabels, Plan

SEGMENTATION = "segmentation"
STATE = ".pytc"
SAME_VOXEL = 0.05
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Model:
    """A model folder."""

    folder: Path
    plan: Plan
    decoder: DecoderChoice
    weights: tuple[Path, ...]

    @classmethod
    def open(cls, folder: str | Path) -> Model:
        """Check what is there; weights are loaded later.

        Raises:
            ModelError: A file of the model is missing.
        """
        folder = Path(folder)
        weights = tuple(sorted(folder.glob("fold_*.safetensors")))
        missing = [n for n in ("plan.yaml", "decoder.json") if not (folder / n).is_file()]
        missing += [] if weights else ["fold_0.safetensors"]
        if missing:
            raise ModelError(f"{folder}: is not a model folder, it lacks {', '.join(missing)}. Give the folder runs/NAME/model.")
        return cls(folder, Plan.load(folder / "plan.yaml"), DecoderChoice.load(folder / "decoder.json"), weights)

    def hash(self) -> str:
        """Of plan, decoder and weights."""
        digest = hashlib.sha256()
        for path in (self.folder / "plan.yaml", self.folder / "decoder.json", *self.weights):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    def networks(self) -> list[Any]:
        """One network per member, weights loaded strictly."""
        from pytc_auto.models.build import build_network
        from pytc_auto.models.weights import load_weights

        found = []
        for path in self.weights:
            network = build_network(self.plan)
            load_weights(network, path)
            found.append(network.eval())
        return found


def predict(  # noqa: PLR0913
    volumes: Sequence[str | Path],
    *,
    model: str | Path,
    out: str | Path,
    voxel_size_nm: ZyxFloat | None = None,
    keep_predictions: bool = False,
    force: bool = False,
    progress: Progress = lambda _what, _share: None,
) -> list[Path]:
    """Segment volumes; the same call resumes, a different one on the same output is refused.

    Args:
        volumes: Files or folders.
        model: Folder that ``pytc train`` exported.
        out: OME-Zarr folder to write; with several volumes a folder of such, by input name.
        voxel_size_nm: (z, y, x), where a volume does not tell.
        keep_predictions: Keep the network's output beside the segmentation.
        force: Go on although the voxel size differs from the one the model was trained on.
        progress: Told what is being done and the share that is done.

    Returns:
        The output of each volume.

    Raises:
        DataError: A volume cannot be read or has another voxel size.
        ModelError: The model folder is incomplete or damaged.
        OutputError: The output was made by another job.
    """
    opened = Model.open(model)
    targets = _targets([Path(v) for v in volumes], Path(out))
    sources = [open_volume(path, voxel_size_nm=voxel_size_nm) for path in volumes]
    for source in sources:
        _check_voxel_size(source, opened.plan, force=force)
    networks: list[Any] = []
    for path, source, target in zip(volumes, sources, targets, strict=True):
        job = _job(opened, Path(path), source, keep_predictions=keep_predictions)
        if _finished(target, job):
            continue
        networks = networks or opened.networks()
        _predict_one(opened, networks, source, target, job=job, keep=keep_predictions, progress=progress)
    return targets


def _targets(volumes: Sequence[Path], out: Path) -> list[Path]:
    if len(volumes) == 1:
        return [out]
    names = [v.name.partition(".")[0] for v in volumes]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise OutputError(f"{out}: several volumes are called {', '.join(twice)}. Predict them into different outputs.")
    return [out / n for n in names]


def _check_voxel_size(volume: Volume, plan: Plan, *, force: bool) -> None:
    """The voxel size the model was trained on, within 5 %."""
    size = volume.voxel_size_nm
    if size is None:
        raise DataError(
            f"{volume.source}: the voxel size is not known. Store it in the file, declare voxel_size_nm in dataset.yaml beside it, "
            "or give --voxel-size Z,Y,X in nanometers."
        )
    if any(abs(a - b) > SAME_VOXEL * b for a, b in zip(size, plan.voxel_size_nm, strict=True)) and not force:
        raise DataError(
            f"{volume.source}: its voxel size is {_nm(size)}, but the model was trained on {_nm(plan.voxel_size_nm)}. "
            "Resample the volume, correct the size with --voxel-size, or go on as it is with --force."
        )


def _nm(size: ZyxFloat) -> str:
    return " × ".join(f"{s:g}" for s in size) + " nm (z, y, x)"


def _job(model: Model, path: Path, volume: Volume, *, keep_predictions: bool) -> str:
    """What makes two calls the same job: model, input and what is kept."""
    stat = path.stat() if path.exists() else None
    identity = {
        "model": model.hash(),
        "input": str(path.resolve()),
        "shape": volume.shape,
        "dtype": str(volume.dtype),
        "modified": stat.st_mtime_ns if stat else None,
        "keep_predictions": keep_predictions,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def _finished(target: Path, job: str) -> bool:
    """Whether the output is complete and of the same job."""
    if not target.exists() or not any(target.iterdir()):
        return False
    state = target / STATE / "job.json"
    if not state.is_file():
        raise OutputError(f"{target}: exists already and is not an output of pytc predict. Choose another -o, or delete it.")
    found = json.loads(state.read_text(encoding="utf-8"))
    if found.get("job") != job:
        raise OutputError(f"{target}: was made from another volume, model or setting. Choose another -o, or delete it.")
    return bool(found.get("finished"))


def _write_state(target: Path, job: str, *, finished: bool) -> None:
    folder = target / STATE
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "job.json.part"
    partial.write_text(json.dumps({"job": job, "finished": finished}) + "\n", encoding="utf-8")
    partial.replace(folder / "job.json")


def _predict_one(
    model: Model, networks: list[Any], source: Volume, target: Path, *, job: str, keep: bool, progress: Progress
) -> None:
    """Blocks of prediction, then decoding, then the pyramid."""
    from pytc_auto.inference.blocks import BlockLedger, predict_volume
    from pytc_auto.inference.window import Predictor
    from pytc_auto.io.ome_zarr import add_pyramid, create_image, open_image_array, remove_image
    from pytc_auto.io.scale import at_scale

    plan = model.plan
    image = at_scale(source, plan.working_scale, kind="image")
    attributes = {"model": model.hash(), "decoder": model.decoder.model_dump(), "input": source.source, "plan": plan.name}
    if not (target / STATE / "job.json").is_file():
        _write_state(target, job, finished=False)
        create_image(
            target,
            shape_czyx=(plan.channels, *image.shape),
            chunks=(1, *(min(64, n) for n in image.shape)),
            dtype="uint8",
            voxel_size_nm=plan.working_voxel_size_nm,
            attributes={**attributes, "heads": [head.model_dump() for head in plan.heads]},
        )
    predictions = open_image_array(target)
    ledger = BlockLedger(target / STATE / "done", job)
    predict_volume(Predictor(networks, plan), image, predictions, ledger, progress=lambda share: progress("predicting", share))
    progress("decoding", 0.0)
    _decode(model, source, predictions, target, attributes)
    progress("decoding", 1.0)
    add_pyramid(target / "labels" / SEGMENTATION, kind="labels")
    if keep:
        add_pyramid(target, kind="image")
    else:
        remove_image(target)
    shutil.rmtree(target / STATE / "done", ignore_errors=True)
    _write_state(target, job, finished=True)


def _decode(model: Model, source: Volume, predictions: Any, target: Path, attributes: dict[str, object]) -> None:
    """Segmentation on the input's grid, with a picture."""
    import numpy as np

    from pytc_auto.decoding.decode import decode
    from pytc_auto.io.ome_zarr import create_labels
    from pytc_auto.io.scale import upsample_labels
    from pytc_auto.pipeline.pictures import result_picture

    plan = model.plan
    stored = np.asarray(predictions[:])
    segmentation = upsample_labels(decode(stored, plan, model.decoder), plan.working_scale, source.shape)
    shutil.rmtree(target / "labels", ignore_errors=True)
    labels = create_labels(
        target,
        SEGMENTATION,
        shape=source.shape,
        chunks=tuple(min(64, n) for n in source.shape),
        dtype=segmentation.dtype,
        voxel_size_nm=plan.voxel_size_nm,
        attributes={**attributes, "kind": "instances" if isinstance(plan.labels, InstanceLabels) else "classes"},
    )
    labels[:] = segmentation
    middle = source.shape[0] // 2
    section = Box((middle, 0, 0), (middle + 1, *source.shape[1:]))
    seen = stored[:, middle // plan.working_scale[0]][:, None]
    picture = target / STATE / "preview.png"
    result_picture(picture, plan, image=source.read(section), stored=seen, segmentation=segmentation[middle][None], truth=None)

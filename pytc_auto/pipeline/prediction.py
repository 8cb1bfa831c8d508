"""``pytc predict``: one global segmentation per volume, block by block, resumable."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytc_auto.errors import DataError, ModelError, OutputError
from pytc_auto.files import write_whole
from pytc_auto.geometry import Box, ZyxFloat
from pytc_auto.io.open import open_volume
from pytc_auto.io.predictions import LOGIT_SCALE
from pytc_auto.io.volume import Volume
from pytc_auto.pipeline.device import device
from pytc_auto.progress import Progress, silent
from pytc_auto.schema.dataset import Declared
from pytc_auto.schema.model import DecoderChoice
from pytc_auto.schema.plan import Plan

SEGMENTATION = "segmentation"
STATE = ".pytc"
SAME_VOXEL = 0.05


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
    progress: Progress = silent,
) -> list[Path]:
    """Segment volumes; the same call resumes, a different one on the same output is refused.

    Args:
        volumes: Files or folders.
        model: Folder that ``pytc train`` exported.
        out: OME-Zarr folder to write; with several volumes a folder of such, by input name.
        voxel_size_nm: (z, y, x), where a volume does not tell.
        keep_predictions: Keep the network's output beside the segmentation.
        force: Go on although the voxel size differs from the one the model was trained on.
        progress: Told how far each volume is.

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
    for path, source in zip(volumes, sources, strict=True):
        source.voxel_size_nm = source.voxel_size_nm or _declared_voxel_size(Path(path))
    for source in sources:
        _check_voxel_size(source, opened.plan, force=force)
    jobs = [
        Job(opened, Path(path), source, target, keep_predictions)
        for path, source, target in zip(volumes, sources, targets, strict=True)
    ]
    networks: list[Any] = []
    for job in jobs:
        if not job.finished():
            networks = networks or opened.networks()
            _run(job, networks, progress)
    return targets


def _targets(volumes: Sequence[Path], out: Path) -> list[Path]:
    if len(volumes) == 1:
        return [out]
    names = [v.name.partition(".")[0] for v in volumes]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise OutputError(f"{out}: several volumes are called {', '.join(twice)}. Predict them into different outputs.")
    return [out / n for n in names]


def _declared_voxel_size(path: Path) -> ZyxFloat | None:
    """What a dataset.yaml beside the volume, or beside its images folder, says."""
    for folder in (path.parent, path.parent.parent):
        if (folder / "dataset.yaml").is_file():
            return Declared.load(folder / "dataset.yaml").voxel_size_nm
    return None


def _check_voxel_size(volume: Volume, plan: Plan, *, force: bool) -> None:
    """The voxel size the model was trained on, within 5 %."""
    size = volume.voxel_size_nm
    if size is None:
        raise DataError(
            f"{volume.source}: the voxel size is not known. Store it in the file, declare voxel_size_nm in dataset.yaml "
            "beside it, or give --voxel-size Z,Y,X in nanometers."
        )
    if any(abs(a - b) > SAME_VOXEL * b for a, b in zip(size, plan.voxel_size_nm, strict=True)) and not force:
        raise DataError(
            f"{volume.source}: its voxel size is {_nm(size)}, but the model was trained on {_nm(plan.voxel_size_nm)}. "
            "Resample the volume, correct the size with --voxel-size, or go on as it is with --force."
        )


def _nm(size: ZyxFloat) -> str:
    return " × ".join(f"{s:g}" for s in size) + " nm (z, y, x)"


@dataclass(frozen=True)
class Job:
    """One volume to segment, and where to."""

    model: Model
    path: Path
    source: Volume
    target: Path
    keep_predictions: bool

    @property
    def hash(self) -> str:
        """What makes two calls the same job: model, input and what is kept."""
        stat = self.path.stat() if self.path.exists() else None
        identity = {
            "model": self.model.hash(),
            "input": str(self.path.resolve()),
            "shape": self.source.shape,
            "dtype": str(self.source.dtype),
            "modified": stat.st_mtime_ns if stat else None,
            "keep_predictions": self.keep_predictions,
        }
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    @property
    def attributes(self) -> dict[str, object]:
        """Where a result comes from."""
        plan = self.model.plan
        return {
            "plan": plan.name,
            "model": self.model.hash(),
            "decoder": self.model.decoder.model_dump(),
            "input": self.source.source,
            "kind": plan.labels.kind,
        }

    def finished(self) -> bool:
        """Whether the output is complete.

        Raises:
            OutputError: The output is something else's.
        """
        if not self.target.exists() or (self.target.is_dir() and not any(self.target.iterdir())):
            return False
        state = self.target / STATE / "job.json"
        if not state.is_file():
            raise OutputError(
                f"{self.target}: exists already and is not an output of pytc predict. Choose another -o, or delete it."
            )
        found = json.loads(state.read_text(encoding="utf-8"))
        if found.get("job") != self.hash:
            raise OutputError(f"{self.target}: was made from another volume, model or setting. Choose another -o, or delete it.")
        return bool(found.get("finished"))

    def note(self, *, finished: bool) -> None:
        """Write whose the output is, whole or not at all."""
        write_whole(self.target / STATE / "job.json", json.dumps({"job": self.hash, "finished": finished}) + "\n")


def _run(job: Job, networks: list[Any], progress: Progress) -> None:
    """Blocks of prediction, then decoding, then pyramids."""
    from pytc_auto.inference.blocks import BlockLedger, predict_volume
    from pytc_auto.io.cache import cached
    from pytc_auto.io.ome_zarr import CHUNK, add_pyramid, create_image, open_level, remove_image
    from pytc_auto.io.scale import at_scale

    plan, target = job.model.plan, job.target
    job.note(finished=False)
    source = cached(job.source, target / STATE / "cache", progress)
    image = at_scale(source, plan.working_scale, kind="image")
    if not (target / "0" / "zarr.json").is_file():
        create_image(
            target,
            shape_czyx=(plan.channels, *image.shape),
            chunks=(1, *CHUNK),
            dtype="uint8",
            voxel_size_nm=plan.working_voxel_size_nm,
            attributes={**job.attributes, "heads": [head.model_dump() for head in plan.heads], "logit_scale": LOGIT_SCALE},
        )
    predictions = open_level(target, writable=True)
    ledger = BlockLedger(target / STATE / "done", job.hash)
    predict_volume(
        networks,
        image,
        plan,
        predictions,
        ledger=ledger,
        device=device(),
        progress=lambda share: progress(f"predicting {job.path.name}", share * image.box.size, image.box.size),
    )
    progress(f"decoding {job.path.name}", 0, 0)
    _decode(job, source, predictions)
    add_pyramid(target / "labels" / SEGMENTATION, kind="labels")
    progress(f"decoding {job.path.name}", image.box.size, image.box.size)
    if job.keep_predictions:
        add_pyramid(target, kind="image")
    else:
        remove_image(target)
    for unneeded in ("done", "cache"):
        shutil.rmtree(target / STATE / unneeded, ignore_errors=True)
    job.note(finished=True)


def _decode(job: Job, source: Volume, predictions: Any) -> None:
    """Segmentation on the input's grid, with a picture."""
    import numpy as np

    from pytc_auto.decoding.decode import decode
    from pytc_auto.io.ome_zarr import CHUNK, create_labels
    from pytc_auto.io.scale import upsample_labels
    from pytc_auto.pipeline.pictures import result_picture

    plan = job.model.plan
    stored = np.asarray(predictions[:])
    segmentation = upsample_labels(decode(stored, plan, job.model.decoder), plan.working_scale, source.shape)
    shutil.rmtree(job.target / "labels", ignore_errors=True)
    labels = create_labels(
        job.target,
        SEGMENTATION,
        shape=source.shape,
        chunks=CHUNK,
        dtype=segmentation.dtype,
        voxel_size_nm=plan.voxel_size_nm,
        attributes=job.attributes,
    )
    labels[:] = segmentation
    middle = source.shape[0] // 2
    section = source.read(Box((middle, 0, 0), (middle + 1, *source.shape[1:])))
    seen = stored[:, middle // plan.working_scale[0]][:, None]
    picture = job.target / STATE / "preview.png"
    result_picture(picture, plan, image=section, stored=seen, segmentation=segmentation[middle][None], truth=None)

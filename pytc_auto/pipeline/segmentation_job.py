"""One volume to segment: what is asked for, and what makes two calls the same job."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pytc_auto.errors import DataError, OutputError
from pytc_auto.files import create_whole, write_whole
from pytc_auto.geometry import Box, ZyxFloat
from pytc_auto.io.export.formats import Format
from pytc_auto.io.open import absolute, open_segmentation, open_volume
from pytc_auto.io.pairing import IMAGE_KEYS, with_key
from pytc_auto.io.remote import is_url
from pytc_auto.io.volume import Volume, refuse_palette
from pytc_auto.pipeline.device import device
from pytc_auto.pipeline.model_folder import Model, same_size
from pytc_auto.pipeline.provenance import provenance
from pytc_auto.pipeline.volume_identity import volume_identity
from pytc_auto.schema.dataset import Declared
from pytc_auto.schema.plan import Plan

if TYPE_CHECKING:
    from pytc_auto.inference.predict import AnyPredictor

SEGMENTATION = "segmentation"
STATE = ".pytc"


@dataclass(frozen=True)
class Outcome:
    """How one volume ended.

    Attributes:
        volume: As it was named.
        target: Where its segmentation is, or was to be.
        state: Whether it was segmented now or by an earlier call; "not all" if that is left to other shards.
        seconds: Wall clock.
        voxels: Of its box; 0 if it could not be opened.
        error: Why it failed.
        left: What is left to others.
    """

    volume: str
    target: Path
    state: Literal["done", "done before", "not all", "failed"]
    seconds: float
    voxels: int
    error: Exception | None = None
    left: str = ""


@dataclass(frozen=True)
class Setting:
    """What all volumes of a call have in common.

    Attributes:
        models: The first one's decoder and blocks are used.
        symmetries: Predictions averaged per patch, for each model.
        box: The part to segment; None for the whole.
        mask: Volume that is not 0 where there is something to segment.
        voxel_size_nm: (z, y, x), where a volume does not tell.
        keep_predictions: Whether the network's output is kept.
        force: Whether another voxel size, or other gray values than the training's are let through.
        formats: In which a finished segmentation is written, too.
        command: The command line as it was given.
    """

    models: tuple[Model, ...]
    symmetries: tuple[int, ...]
    box: Box | None = None
    mask: str | None = None
    voxel_size_nm: ZyxFloat | None = None
    keep_predictions: bool = False
    force: bool = False
    formats: tuple[Format, ...] = ()
    command: str | None = None

    @property
    def plan(self) -> Plan:
        """The first model's."""
        return self.models[0].plan

    def load(self) -> list[AnyPredictor]:
        """What predicts in this process, one for each model."""
        return self._predictors

    def check_weights(self) -> None:
        """See that all networks can be loaded.

        Raises:
            ModelError: Weights are damaged, do not fit their plan, or are not finite.
        """
        assert self._networks

    @cached_property
    def _networks(self) -> list[list[Any]]:
        return [model.networks() for model in self.models]

    @cached_property
    def _predictors(self) -> list[AnyPredictor]:
        from pytc_auto.inference.predict import predictor

        each = zip(self._networks, self.models, self.symmetries, strict=True)
        return [predictor(networks, model.plan, device=device(), symmetries=count) for networks, model, count in each]

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class Job:
    """One volume to segment, and where to.

    Attributes:
        setting: What it has in common with others.
        path: Of the volume, as it was named.
        source: The volume.
        mask: Of the same shape; None without one.
        target: OME-Zarr folder.
    """

    setting: Setting
    path: str
    source: Volume
    mask: Volume | None
    target: Path

    @classmethod
    def open(cls, setting: Setting, path: str, target: Path) -> Job:
        """Open a volume and see that it goes with the setting; no voxels are read.

        Raises:
            DataError: The volume or the mask cannot be read, its voxel size is not the model's, or it does not hold the box.
        """
        source = open_volume(_image_in(path), voxel_size_nm=setting.voxel_size_nm)
        refuse_palette(source)
        source.voxel_size_nm = source.voxel_size_nm or _declared_voxel_size(Path(path)) or _stand_in(setting.plan)
        _check_voxel_size(source, setting.plan, force=setting.force)
        if setting.box is not None and not source.box.contains(setting.box):
            raise DataError(f"{source.source}: the box {setting.box} is not inside {source.box} (z, y, x). Give a smaller --box.")
        mask = None if setting.mask is None else open_segmentation(setting.mask)
        if mask is not None and mask.shape != source.shape:
            raise DataError(
                f"{mask.source}: the mask has shape {mask.shape}, but {source.source} has {source.shape} (z, y, x). "
                "Give a mask of the same shape."
            )
        return cls(setting, path, source, mask, target)

    @property
    def box(self) -> Box:
        """What is segmented, on the input's grid."""
        return self.setting.box or self.source.box

    @cached_property
    def identity(self) -> dict[str, object]:
        """What makes two calls the same job: all that changes the result."""
        told = {
            "models": [model.hash for model in self.setting.models],
            "symmetries": self.setting.symmetries,
            "input": volume_identity(self.path, self.source),
            "voxel size": self.source.voxel_size_nm,
            "box": str(self.box),
            "mask": self.mask and volume_identity(self.mask.source, self.mask),
            "kept predictions": self.setting.keep_predictions,
        }
        return json.loads(json.dumps(told))

    @property
    def hash(self) -> str:
        """Of the identity."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()

    @property
    def attributes(self) -> dict[str, object]:
        """Where a result comes from."""
        models = [
            {"plan": m.plan.name, "hash": m.hash, "members": [path.stem for path in m.weights], "symmetries": count}
            for m, count in zip(self.setting.models, self.setting.symmetries, strict=True)
        ]
        return {
            "models": models,
            "decoder": self.setting.models[0].decoder.model_dump(),
            "input": absolute(self.source.source),
            "box": {"start": self.box.start, "stop": self.box.stop},
            "mask": self.mask and absolute(self.mask.source),
            "kind": self.setting.plan.labels.kind,
            **provenance(self.setting.command),
        }

    def translation_nm(self, center: ZyxFloat) -> ZyxFloat | None:
        """Where a place lies that is told in voxels of the input, from the center of its first one.

        None for a whole volume that does not tell where it lies.
        """
        if self.source.offset_nm is None and self.setting.box is None:
            return None
        origin, size = self.source.offset_nm or (0.0, 0.0, 0.0), self.source.voxel_size_nm
        assert size is not None
        z, y, x = (o + s * a for o, s, a in zip(origin, size, center, strict=True))
        return z, y, x

    def finished(self) -> bool:
        """Whether the output is complete.

        Raises:
            OutputError: The output is something else's.
        """
        state = self.target / STATE / "job.json"
        if not state.is_file():
            if not self.target.exists() or (self.target.is_dir() and {p.name for p in self.target.iterdir()} <= {STATE}):
                return False
            raise OutputError(
                f"{self.target}: exists already and is not an output of pytc predict. It is left as it is: choose another -o."
            )
        found = json.loads(state.read_text(encoding="utf-8"))
        before = found.get("job")
        if before != self.identity:
            known = before if isinstance(before, dict) else {}
            differing = ", ".join(name for name, value in self.identity.items() if known.get(name) != value)
            raise OutputError(
                f"{self.target}: was made from another volume, model or setting (not the same: {differing}). "
                "Choose another -o, or delete it."
            )
        return bool(found.get("finished"))

    def note(self, *, finished: bool) -> None:
        """Write whose the output is, whole or not at all. What another process has noted is not taken back."""
        path, text = self.target / STATE / "job.json", json.dumps({"job": self.identity, "finished": finished}) + "\n"
        if finished:
            write_whole(path, text)
        else:
            create_whole(path, text)

    def claim(self, what: str) -> Path:
        """Of the claim to a part of the work that one process does."""
        return self.target / STATE / "claims" / what


def _image_in(path: str) -> str:
    """The path with the key of the image, of a container that holds several data sets and one of a well-known name."""
    return path if is_url(path) or not Path(path).exists() else with_key(Path(path), None, IMAGE_KEYS)


def _declared_voxel_size(path: Path) -> ZyxFloat | None:
    """What a dataset.yaml beside the volume, or beside its images folder, says."""
    for folder in path.absolute().parents[:2]:
        if (folder / "dataset.yaml").is_file():
            return Declared.load(folder / "dataset.yaml").voxel_size_nm
    return None


def _stand_in(plan: Plan) -> ZyxFloat | None:
    """The plan's voxel size where it is nobody's."""
    return None if plan.voxel_size_known else plan.voxel_size_nm


def _check_voxel_size(volume: Volume, plan: Plan, *, force: bool) -> None:
    """The voxel size the model was trained on, within 5 %; any where that is not known."""
    size = volume.voxel_size_nm
    if size is None:
        raise DataError(
            f"{volume.source}: the voxel size is not known. Store it in the file, declare voxel_size_nm in dataset.yaml "
            "beside it, or give --voxel-size Z,Y,X in nanometers."
        )
    if plan.voxel_size_known and not (force or same_size(size, plan.voxel_size_nm)):
        raise DataError(
            f"{volume.source}: its voxel size is {_nm(size)}, but the model was trained on {_nm(plan.voxel_size_nm)}. "
            "Resample the volume, correct the size with --voxel-size, or go on as it is with --force."
        )


def _nm(size: ZyxFloat) -> str:
    return " × ".join(f"{s:g}" for s in size) + " nm (z, y, x)"


def refuse_unfinished(out: Path) -> None:
    """Of an output of ``pytc predict`` nothing is taken before it is complete; other folders pass.

    Raises:
        OutputError: It is not complete.
    """
    state = out / STATE / "job.json"
    if state.is_file() and not json.loads(state.read_text(encoding="utf-8")).get("finished"):
        raise OutputError(f"{out}: is not complete. Run the same pytc predict again, it goes on from there.")

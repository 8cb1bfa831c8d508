"""A fold's held-out data of a run, and its predictions by the fold's weights, which are kept beside them."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.errors import OutputError, PytcError
from pytc_auto.geometry import ZyxFloat
from pytc_auto.io.predictions import LOGIT_SCALE
from pytc_auto.pipeline.device import device, memory_for_data
from pytc_auto.pipeline.runs import Run
from pytc_auto.pipeline.validation import HeldOut, division_of
from pytc_auto.progress import Progress, silent
from pytc_auto.schema.plan import Plan

WEIGHTS = "weights.safetensors"
"""Of a fold, as they were scored; they have not seen the held-out data."""
KEPT = "held_out"
Stored = npt.NDArray[np.uint8]


def open_held_out(run: Run, plan: Plan, number: int) -> HeldOut:
    """What a fold of a run holds out.

    Raises:
        DataError: The volumes cannot be read.
        PlanError: As ``division_of``.
    """
    from pytc_auto.data.volumes import open_volumes

    volumes = open_volumes(run.present_dataset(), plan, memory_for_data(), cache=run.cache)
    return HeldOut(plan, volumes, division_of(plan, volumes, number).validation)


def predict_held_out(held_out: HeldOut, number: int, network: Any, folder: Path, progress: Progress = silent) -> Stored:
    """Predict a region with the fold's weights and keep the prediction, an OME-Zarr image, in the fold's folder.

    Args:
        held_out: Of the fold.
        number: Of the region.
        network: With the weights that lie in the folder.
        folder: The fold's.
        progress: Told how far the prediction is.

    Returns:
        (C, Z, Y, X).

    Raises:
        OutputError: The prediction cannot be written.
    """
    from pytc_auto.io.ome_zarr import CHUNK, create_image

    stored, plan, target = held_out.predict(network, number, device(), progress), held_out.plan, folder / KEPT / str(number)
    partial = target.with_name(f".{number}.part")
    attributes = {"heads": [head.model_dump() for head in plan.heads], "logit_scale": LOGIT_SCALE}
    try:
        shutil.rmtree(partial, ignore_errors=True)
        array = create_image(
            partial,
            shape_czyx=stored.shape,
            chunks=(1, *CHUNK),
            dtype="uint8",
            voxel_size_nm=plan.working_voxel_size_nm,
            translation_nm=_center_nm(held_out, number),
            attributes={**attributes, **_identity(held_out, number, folder)},
        )
        array[:] = stored
        shutil.rmtree(target, ignore_errors=True)
        partial.replace(target)
    except OSError as error:
        told = f"{target}: the held-out prediction cannot be written ({error.strerror})"
        raise OutputError(f"{told}. Make room or check the rights; the same command goes on from there.") from error
    return stored


def kept_prediction(held_out: HeldOut, number: int, folder: Path) -> Stored | None:
    """The prediction of a region that was kept; None where there is none of these weights and this region."""
    import zarr

    from pytc_auto.io.ome_zarr import open_level

    path = folder / KEPT / str(number)
    if not (path / "zarr.json").is_file():
        return None
    told = zarr.open_group(store=str(path), mode="r").attrs.asdict().get("pytc", {})
    wanted = _identity(held_out, number, folder)
    if not isinstance(told, dict) or any(told.get(name) != value for name, value in wanted.items()):
        return None
    try:
        return np.asarray(open_level(path)[:])
    except PytcError:
        return None


def _identity(held_out: HeldOut, number: int, folder: Path) -> dict[str, Any]:
    """What a prediction is of: the weights and the region, on the working grid."""
    region = held_out.regions[number]
    return {
        "weights": hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
        "volume": held_out.volumes[region.volume].name,
        "box": {"start": list(region.box.start), "stop": list(region.box.stop)},
        "working_scale": [s / z for s, z in zip(held_out.plan.working_scale, held_out.plan.zoom, strict=True)],
        "seen": {"start": list(region.context.start), "stop": list(region.context.stop)},
        "inference": held_out.plan.inference.model_dump(mode="json"),
        "intensity": held_out.plan.intensity.model_dump(mode="json"),
    }


def _center_nm(held_out: HeldOut, number: int) -> ZyxFloat:
    """Where the center of the region's first voxel lies."""
    plan, region = held_out.plan, held_out.regions[number]
    origin = held_out.volumes[region.volume].image.offset_nm or (0.0, 0.0, 0.0)
    each = zip(plan.voxel_size_nm, region.box.start, plan.working_scale, plan.zoom, strict=True)
    z, y, x = (o + s * (a * f / zoom + (f - 1) / 2) for o, (s, a, f, zoom) in zip(origin, each, strict=True))
    return z, y, x

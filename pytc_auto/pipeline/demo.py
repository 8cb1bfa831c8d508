"""``pytc demo``: the whole way on a synthetic volume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pytc_auto.errors import BudgetError, OutputError
from pytc_auto.geometry import Zyx
from pytc_auto.pipeline.evaluation import evaluate
from pytc_auto.pipeline.planning import Planned, plan
from pytc_auto.pipeline.prediction import predict
from pytc_auto.pipeline.runs import writing
from pytc_auto.pipeline.training import train
from pytc_auto.progress import Progress, silent

VOXEL_SIZE_NM = (12.0, 12.0, 12.0)
TRAIN_SHAPE: Zyx = (128, 192, 192)
TEST_SHAPE: Zyx = (64, 160, 160)
SECONDS = 300.0
MARGIN = 1.5
"""A machine that is slow because it is busy is timed anew."""


@dataclass(frozen=True)
class Demonstrated:
    """Where the results lie, and the scores on the volume that training never saw."""

    folder: Path
    planned: Planned
    scores: dict[str, float]
    picture: Path


def demo(
    out: str | Path = "demo",
    *,
    seconds: float = SECONDS,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> Demonstrated:
    """Generate two volumes of synthetic tissue, learn from one, segment the other, score it.

    Args:
        out: Folder for data, run and result.
        seconds: For the training, which stops early where the machine has become slower than it was timed; more on a machine
            that is too slow for it.
        say: Told what is being done.
        progress: Told how far a step is.

    Raises:
        OutputError: There is a file or a folder with files of that name, or it cannot be written.
    """
    out = Path(out)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise OutputError(f"{out}: exists already. Choose another --out, or delete it.")
    say("Growing synthetic tissue")
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        write_phantom(out / "data" / "train", "tissue", TRAIN_SHAPE, seed=1)
        write_phantom(out / "data" / "test", "unseen", TEST_SHAPE, seed=2)
    planned = _planned(out, seconds, say, progress)
    train(planned.run.plan_file, max_seconds=planned.plan.machine.seconds, say=say, progress=progress)
    image, labels = out / "data/test/images/unseen.h5", out / "data/test/labels/unseen.h5"
    say("Segmenting the unseen volume")
    predict([image], model=planned.run.model, out=out / "unseen_segmented.zarr", keep_predictions=True, progress=progress)
    scores = evaluate(out / "unseen_segmented.zarr", labels, json_file=out / "scores.json", progress=progress)
    picture = planned.run.folder / "unseen.png"
    _picture(planned, image, labels, out / "unseen_segmented.zarr", picture)
    return Demonstrated(out, planned, scores, picture)


def _planned(out: Path, seconds: float, say: Callable[[str], None], progress: Progress) -> Planned:
    """The plan for the time; on a machine that is too slow for it, for the time that suffices there."""

    def made(limit: float) -> Planned:
        return plan(out / "data" / "train", name="demo", runs=out / "runs", max_seconds=limit, say=say, progress=progress)

    try:
        return made(seconds)
    except BudgetError as error:
        if error.enough_seconds is None:
            raise
        longer = MARGIN * error.enough_seconds
        say(f"{seconds / 60:.0f} minutes are too little on this machine, it gets {longer / 60:.0f}")
        return made(longer)


def write_phantom(folder: Path, name: str, shape: Zyx, *, seed: int) -> None:
    """A volume and its neurons as HDF5 files in images/ and labels/."""
    import h5py

    from pytc_auto.phantom import make_phantom

    tissue = make_phantom(shape, VOXEL_SIZE_NM, seed=seed)
    for kind, array in (("images", tissue.image_zyx), ("labels", tissue.neurons_zyx)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        with h5py.File(folder / kind / f"{name}.h5", "w") as file:
            data = file.create_dataset("main", data=array, compression="gzip", compression_opts=1)
            data.attrs["resolution"] = VOXEL_SIZE_NM


def _picture(planned: Planned, image: Path, labels: Path, result: Path, path: Path) -> None:
    import numpy as np

    from pytc_auto.io.ome_zarr import open_level
    from pytc_auto.io.open import open_segmentation, open_volume
    from pytc_auto.pipeline.pictures import result_picture

    volumes = [open_volume(image), open_segmentation(result), open_volume(labels)]
    gray, segmentation, truth = (volume.read(volume.box) for volume in volumes)
    stored = np.asarray(open_level(result)[:])
    result_picture(path, planned.plan, image=gray, stored=stored, segmentation=segmentation, truth=truth)

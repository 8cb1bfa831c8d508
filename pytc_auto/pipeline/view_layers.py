"""What there is to see of an output, of a run, and of data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytc_auto.errors import DataError, OutputError
from pytc_auto.geometry import ZyxFloat, zyx
from pytc_auto.io.dataset import find_dataset
from pytc_auto.io.open import is_container, open_segmentation, open_volume
from pytc_auto.io.volume import Volume
from pytc_auto.io.zarr_metadata import read_node
from pytc_auto.pipeline.runs import Run
from pytc_auto.pipeline.segmentation_job import SEGMENTATION, STATE
from pytc_auto.progress import Progress
from pytc_auto.schema.dataset import VolumeEntry
from pytc_auto.viewer.layer import Layer
from pytc_auto.viewer.pyramid import open_pyramid, start_in

SHOWN_CHANNELS = 3
"""Of a prediction, as red, green and blue."""

UNKNOWN: ZyxFloat = (1.0, 1.0, 1.0)
_LABEL_KINDS = ("uint32", "uint64", "int32", "int64")


@dataclass(frozen=True)
class View:
    """Where what is shown comes from, and what is told of it.

    Attributes:
        cache: Folder for copies of volumes that cannot be read by box.
        voxel_size_nm: (z, y, x), where a volume does not tell.
        say: Told what a person should know.
        progress: Told how far a copy is.
    """

    cache: Path
    voxel_size_nm: ZyxFloat | None = None
    say: Callable[[str], None] = field(default=lambda _: None)
    progress: Progress = field(default=lambda *_: None)

    def image(self, name: str, source: str | Path, size: ZyxFloat, **where: Any) -> Layer:
        """A volume in gray; ``where`` is handed to ``open_pyramid``, start and contrast to the layer."""
        layer = {key: where.pop(key) for key in ("visible", "contrast") if key in where}
        pyramid = open_pyramid(source, kind="image", cache=self.cache, progress=self.progress, **where)
        layer.setdefault("contrast", pyramid.contrast())
        return Layer(name, pyramid, "image", size, **layer)

    def labels(self, name: str, source: str | Path, size: ZyxFloat, **where: Any) -> Layer:
        """A volume of ids; as ``image``."""
        layer = {key: where.pop(key) for key in ("visible", "start") if key in where}
        pyramid = open_pyramid(source, kind="labels", cache=self.cache, progress=self.progress, **where)
        return Layer(name, pyramid, "labels", size, **layer)


def is_output(path: Path) -> bool:
    """Whether a folder was written by ``pytc predict``."""
    return (path / STATE / "job.json").is_file()


def outputs_in(path: Path) -> list[Path]:
    """The outputs in a folder."""
    return [p for p in sorted(path.iterdir()) if is_output(p)] if path.is_dir() else []


def output_layers(path: Path, view: View) -> list[Layer]:
    """The input of an output, its predictions if they are kept, and its segmentation.

    Raises:
        OutputError: Nothing has been predicted yet.
    """
    found = _stored(path)
    if not found:
        raise OutputError(
            f"{path}: there is nothing to see yet. Run the same pytc predict again; pytc status tells how far it is."
        )
    told = read_node(path).attributes.get("pytc", {})
    reference = found.get("segmentation") or found["prediction"]
    raw = _input(told, reference, view)
    layers = [] if raw is None else [raw]
    origin = reference if raw is None else raw.pyramid.finest
    if "prediction" in found:
        layers.append(_prediction("prediction", path, origin, visible="segmentation" not in found))
    if "segmentation" in found:
        volume = found["segmentation"]
        layers.append(view.labels("segmentation", volume.source, _size(volume), start=start_in(volume, origin)))
    else:
        view.say(f"{path} is not finished: there is no segmentation yet. What has not been predicted is black.")
    return layers


def _stored(path: Path) -> dict[str, Volume]:
    """What an output holds, by name."""
    found: dict[str, Volume] = {}
    if (path / "labels" / SEGMENTATION / "zarr.json").is_file():
        found["segmentation"] = open_segmentation(path)
    if read_node(path).multiscale is not None:
        found["prediction"] = open_volume(path, channel=0)
    return found


def _input(told: Mapping[str, Any], reference: Volume, view: View) -> Layer | None:
    """The volume that was segmented, where it is still there."""
    source = str(told.get("input"))
    try:
        layer = view.image("raw", source, open_volume(source).voxel_size_nm or _size(reference))
    except DataError as error:
        view.say(f"The input is not shown, it has moved or changed: {error}")
        return None
    layer.pyramid.finest.voxel_size_nm = layer.voxel_size_nm
    return layer


def _prediction(name: str, path: Path, origin: Volume, *, visible: bool) -> Layer:
    """The first channels of a stored prediction."""
    count = min(open_volume(path, channel=0).channels, SHOWN_CHANNELS)
    pyramid = open_pyramid(path, kind="image", channels=range(count))
    size = _size(pyramid.finest)
    return Layer(name, pyramid, "prediction", size, start=start_in(pyramid.finest, origin), visible=visible)


def run_layers(run: Run, view: View) -> list[Layer]:
    """The training volumes of a run with their labels, and what was predicted of the held-out parts; the first are in view."""
    contrast = run.plan().intensity.clip
    layers = []
    for number, entry in enumerate(run.dataset().volumes):
        layers += _entry_layers(entry, view, visible=number == 0, contrast=(float(contrast[0]), float(contrast[1])))
        origin = layers[-1 if entry.labels is None else -2].pyramid.finest
        for path in sorted(run.folder.glob("folds/*/held_out/*/zarr.json")):
            if read_node(path.parent).attributes.get("pytc", {}).get("volume") == entry.name:
                fold = path.parts[-4]
                layers.append(_prediction(f"prediction {entry.name}, fold {fold}", path.parent, origin, visible=False))
    return layers


def data_layers(path: str | Path, view: View) -> list[Layer]:
    """The volumes of a data set with their labels, the first in view; or a single volume.

    Raises:
        DataError: It cannot be read.
    """
    place = Path(path)
    if place.is_dir() or (place.is_file() and is_container(place)):
        try:
            found = find_dataset(place, voxel_size_nm=view.voxel_size_nm)
        except DataError as error:
            return _single_or(path, view, error)
        for remark in found.remarks:
            view.say(remark)
        entries = found.dataset.volumes
        return [layer for n, entry in enumerate(entries) for layer in _entry_layers(entry, view, visible=n == 0)]
    return [_single(path, view)]


def _single_or(path: str | Path, view: View, error: DataError) -> list[Layer]:
    """What is no data set may be one volume.

    Raises:
        DataError: It is not; the error of the data set says more.
    """
    try:
        return [_single(path, view)]
    except DataError:
        raise error from None


def _single(path: str | Path, view: View) -> Layer:
    """A volume by itself: ids if it has such numbers, else gray values."""
    volume = open_segmentation(path, voxel_size_nm=view.voxel_size_nm)
    if volume.voxel_size_nm is None:
        view.say(
            f"{volume.source}: the voxel size is not known; voxels are shown as cubes. Give --voxel-size Z,Y,X in nanometers."
        )
    show = view.labels if volume.dtype.name in _LABEL_KINDS else view.image
    return show("labels" if volume.dtype.name in _LABEL_KINDS else "raw", volume.source, volume.voxel_size_nm or UNKNOWN)


def _entry_layers(entry: VolumeEntry, view: View, *, visible: bool, **look: Any) -> list[Layer]:
    """Image and labels of a volume, each in voxels of its own."""
    image_size = _share(entry.voxel_size_nm, entry.image_scale)
    where = {"axes": entry.axes, "visible": visible}
    layers = [view.image(f"raw {entry.name}", entry.image, image_size, channels=(entry.channel,), **where, **look)]
    layers[0].pyramid.finest.voxel_size_nm = image_size
    if entry.labels is not None:
        start = zyx([a * f for a, f in zip(entry.labels_start, entry.labels_scale, strict=True)])
        size = _share(entry.voxel_size_nm, entry.labels_scale)
        layers.append(view.labels(f"labels {entry.name}", entry.labels, size, start=start, **where))
    return layers


def _share(size: ZyxFloat, parts: tuple[int, int, int]) -> ZyxFloat:
    """The voxel size of a grid that is finer by whole factors."""
    z, y, x = (s / n for s, n in zip(size, parts, strict=True))
    return z, y, x


def _size(volume: Volume) -> ZyxFloat:
    return volume.voxel_size_nm or UNKNOWN

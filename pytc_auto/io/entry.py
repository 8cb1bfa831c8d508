"""Open the volumes of a data set on the grid that image and labels have in common."""

from __future__ import annotations

from pytc_auto.io.open import open_volume
from pytc_auto.io.scale import Kind, at_scale
from pytc_auto.io.volume import Volume
from pytc_auto.schema.dataset import PositiveZyx, VolumeEntry


def open_image(entry: VolumeEntry) -> Volume:
    """The gray values of an entry on the common grid; no voxels are read.

    Raises:
        DataError: The file is not there, damaged or not a volume.
    """
    return _on_grid(open_volume(entry.image, axes=entry.axes, channel=entry.channel), entry, entry.image_scale, "image")


def open_labels(entry: VolumeEntry) -> Volume:
    """The labels of an entry that has some, on the common grid: they begin at ``entry.labels_start`` in the image.

    Raises:
        DataError: The file is not there, damaged or not a volume.
    """
    assert entry.labels is not None
    return _on_grid(open_volume(entry.labels, axes=entry.axes), entry, entry.labels_scale, "labels")


def _on_grid(stored: Volume, entry: VolumeEntry, scale: PositiveZyx, kind: Kind) -> Volume:
    volume = at_scale(stored, scale, kind=kind)
    volume.voxel_size_nm = entry.voxel_size_nm
    return volume

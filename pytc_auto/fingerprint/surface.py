"""What surrounds the objects: surface that touches another id, width of the gaps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytc_auto.fingerprint.components import FLAT_ANISOTROPY, Ids, Mask, profiles_of
from pytc_auto.fingerprint.percentiles import Floats
from pytc_auto.geometry import Box, ZyxFloat, anisotropy, cutting_axis, zyx

GAP_BOXES = 4
GAP_SIDE = 96
GAP_SECTIONS = 8
GAP_SECTION_SIDE = 768


@dataclass(frozen=True)
class Surface:
    """Areas in nm²: faces between two ids, and all faces between an id and anything else."""

    touching: float
    whole: float


def measure_surface(ids_zyx: Ids, labelled_zyx: Mask, voxel_size_nm: ZyxFloat) -> Surface:
    """Add up the voxel faces between different labelled values, each once, by their area.

    Args:
        ids_zyx: (Z, Y, X), 0 is background.
        labelled_zyx: (Z, Y, X); faces of unlabeled voxels do not count.
        voxel_size_nm: (z, y, x).
    """
    touching = whole = 0.0
    volume_nm3 = float(np.prod(voxel_size_nm))
    for axis in range(3):
        ids, known = np.moveaxis(ids_zyx, axis, 0), np.moveaxis(labelled_zyx, axis, 0)
        differ = (ids[1:] != ids[:-1]) & known[1:] & known[:-1]
        area = volume_nm3 / voxel_size_nm[axis]
        whole += area * np.count_nonzero(differ)
        touching += area * np.count_nonzero(differ & (ids[1:] > 0) & (ids[:-1] > 0))
    return Surface(touching, whole)


def gap_widths_nm(
    components_zyx: Ids, labelled_zyx: Mask, voxel_size_nm: ZyxFloat, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Widths of the background between neighbors, along the surface midway between them.

    Each background voxel belongs to its nearest object. Where two adjacent voxels belong to different objects, the gap
    there is as wide as the sum of their distances to the objects: exactly n voxels across a straight gap of n. Measured in
    a few random boxes; from an anisotropy of 3 between the profiles in a few random sections.

    Args:
        components_zyx: (Z, Y, X), numbered from 1, 0 is background.
        labelled_zyx: (Z, Y, X), False where nobody looked.
        voxel_size_nm: (z, y, x).
        rng: Chooses the places.

    Returns:
        (M,), empty where no two objects are in one box.
    """
    places = _places(components_zyx.shape, voxel_size_nm, rng)
    if anisotropy(voxel_size_nm) < FLAT_ANISOTROPY:
        found = [_widths(components_zyx[b.slices], labelled_zyx[b.slices], voxel_size_nm) for b in places]
        return np.concatenate(found)
    axis = cutting_axis(voxel_size_nm)
    plane = tuple(s for i, s in enumerate(voxel_size_nm) if i != axis)
    found = []
    for box in places:
        section, labelled = (np.take(array[box.slices], 0, axis) for array in (components_zyx, labelled_zyx))
        found.append(_widths(profiles_of(np.ascontiguousarray(section))[0], labelled, plane))
    return np.concatenate(found)


def _places(shape: tuple[int, ...], voxel_size_nm: ZyxFloat, rng: np.random.Generator) -> list[Box]:
    """Different random boxes of one size; from an anisotropy of 3 each lies in one section."""
    side, most = [GAP_SIDE] * 3, GAP_BOXES
    if anisotropy(voxel_size_nm) >= FLAT_ANISOTROPY:
        side, most = [GAP_SECTION_SIDE] * 3, GAP_SECTIONS
        side[cutting_axis(voxel_size_nm)] = 1
    size = zyx([min(a, b) for a, b in zip(shape, side, strict=True)])
    room = [n - s + 1 for n, s in zip(shape, size, strict=True)]
    count = min(most, math.prod(room))
    chosen = sorted(rng.choice(math.prod(room), count, replace=False).tolist())
    return [Box.of_shape(size, [int(i) for i in np.unravel_index(place, room)]) for place in chosen]


def _widths(objects: Ids, labelled: Mask, sampling_nm: tuple[float, ...]) -> Floats:
    """Gap widths in one array of two or three axes."""
    from scipy import ndimage

    if not objects.any() or objects.all():
        return np.zeros(0)
    distance, nearest = ndimage.distance_transform_edt(objects == 0, sampling=sampling_nm, return_indices=True)
    owner = objects[tuple(nearest)]
    found = []
    for axis in range(objects.ndim):
        d, o, known = (np.moveaxis(a, axis, 0) for a in (distance, owner, labelled))
        total = d[1:] + d[:-1]
        found.append(total[(o[1:] != o[:-1]) & (total > 0) & known[1:] & known[:-1]])
    return np.concatenate(found)

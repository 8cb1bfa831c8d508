"""Connected components of labels: size, extent, inscribed diameter, whether they are whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.fingerprint.percentiles import Floats
from pytc_auto.geometry import ZyxFloat, anisotropy, cutting_axis

Ids = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
FLAT_ANISOTROPY = 3.0
"""From here on an object of a few hundred nanometers spans a few sections, and widths are measured in the plane."""


@dataclass(frozen=True)
class Components:
    """The face-connected components of equal, non-zero ids of a box; component n has row n - 1 in every table.

    Attributes:
        ids_zyx: (Z, Y, X) component number of each voxel, 0 is background.
        value: (N,) id that a component is made of.
        voxels: (N,)
        start: (N, 3) lowest voxel on each axis.
        stop: (N, 3) one past the highest.
        cut: (N,) whether it reaches the box's border or unlabeled voxels.
    """

    ids_zyx: Ids
    value: npt.NDArray[np.int64]
    voxels: Floats
    start: npt.NDArray[np.int64]
    stop: npt.NDArray[np.int64]
    cut: Mask


def find_components(ids_zyx: Ids, labelled_zyx: Mask) -> Components:
    """Components of a box.

    Args:
        ids_zyx: (Z, Y, X) unsigned, 0 is background or unlabeled.
        labelled_zyx: (Z, Y, X), False where nobody looked.
    """
    import cc3d

    components, count = cc3d.connected_components(ids_zyx, connectivity=6, return_N=True)
    statistics = cc3d.statistics(components, no_slice_conversion=True)
    bounds = statistics["bounding_boxes"][1 : count + 1].astype(np.int64)
    start, stop = bounds[:, ::2], bounds[:, 1::2] + 1
    value = np.zeros(count + 1, np.int64)
    value[components] = ids_zyx
    cut = (start == 0).any(axis=1) | (stop == ids_zyx.shape).any(axis=1)
    cut[_beside(components, ~labelled_zyx) - 1] = True
    voxels = statistics["voxel_counts"][1 : count + 1].astype(np.float64)
    return Components(components, value[1:], voxels, start, stop, cut)


def extents_nm(components: Components, voxel_size_nm: ZyxFloat) -> Floats:
    """(N,) longest side of each component's bounding box."""
    sides = (components.stop - components.start) * np.asarray(voxel_size_nm)
    return np.asarray(sides.max(axis=1), np.float64)


@dataclass(frozen=True)
class Widths:
    """Inscribed diameters with the voxels that each stands for, both (M,)."""

    diameter_nm: Floats
    voxels: Floats


def inscribed_diameters(components: Components, voxel_size_nm: ZyxFloat) -> Widths:
    """Twice the largest distance to what is not the component.

    Distances run between voxel centers, so a plate of n voxels has the diameter n (n even) or n + 1 (n odd). The box's
    border does not count as an end; what it leaves open is at most as wide as the component is long. From an anisotropy
    of 3 the profiles that the sections show are measured, each for itself; otherwise the components are.
    """
    ids = components.ids_zyx
    if anisotropy(voxel_size_nm) < FLAT_ANISOTROPY:
        diameter = 2 * _largest_distances(ids, voxel_size_nm, len(components.voxels))
        return Widths(np.minimum(diameter, extents_nm(components, voxel_size_nm)), components.voxels)
    axis = cutting_axis(voxel_size_nm)
    plane = tuple(s for i, s in enumerate(voxel_size_nm) if i != axis)
    found = [_profile_widths(np.ascontiguousarray(section), plane) for section in np.moveaxis(ids, axis, 0)]
    return Widths(np.concatenate([w.diameter_nm for w in found]), np.concatenate([w.voxels for w in found]))


def profiles_of(section: Ids) -> tuple[Ids, int]:
    """Connected regions of equal ids in one section, (A, B) numbered from 1, and their number."""
    import cc3d

    profiles, count = cc3d.connected_components(section, connectivity=4, return_N=True)
    return profiles, int(count)


def _profile_widths(section: Ids, plane_nm: tuple[float, ...]) -> Widths:
    import cc3d

    profiles, count = profiles_of(section)
    if not count:
        return Widths(np.zeros(0), np.zeros(0))
    statistics = cc3d.statistics(profiles, no_slice_conversion=True)
    bounds = statistics["bounding_boxes"][1 : count + 1].astype(np.int64)
    sides = (bounds[:, 1::2] + 1 - bounds[:, ::2]) * np.asarray(plane_nm)
    diameter = 2 * _largest_distances(profiles, plane_nm, count)
    return Widths(np.minimum(diameter, sides.max(axis=1)), statistics["voxel_counts"][1 : count + 1].astype(np.float64))


def _largest_distances(ids: Ids, sampling_nm: tuple[float, ...], count: int) -> Floats:
    """(N,) largest distance inside each id to another value; infinite where there is none."""
    import edt

    distance = edt.edt(np.ascontiguousarray(ids), anisotropy=sampling_nm, black_border=False)
    largest = np.zeros(count + 1, np.float32)
    np.maximum.at(largest, ids.ravel(), distance.ravel())
    return largest[1:].astype(np.float64)


def _beside(components: Ids, unlabeled: Mask) -> npt.NDArray[np.int64]:
    """Numbers of the components that share a face with an unlabeled voxel."""
    found = [np.zeros(0, np.int64)]
    if unlabeled.any():
        for axis in range(3):
            ids, gone = np.moveaxis(components, axis, 0), np.moveaxis(unlabeled, axis, 0)
            found += [ids[:-1][gone[1:]], ids[1:][gone[:-1]]]
    numbers = np.unique(np.concatenate(found)).astype(np.int64)
    return numbers[numbers > 0]

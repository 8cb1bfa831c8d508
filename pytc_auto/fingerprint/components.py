"""Connected components of labels: size, extent, inscribed diameter, whether they are whole."""

from __future__ import annotations

from collections.abc import Sequence
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
        beside_unlabeled: (N,) whether it reaches unlabeled voxels.
    """

    ids_zyx: Ids
    value: Ids
    voxels: Floats
    start: npt.NDArray[np.int64]
    stop: npt.NDArray[np.int64]
    beside_unlabeled: Mask

    @property
    def cut(self) -> Mask:
        """(N,) whether it reaches the box's border or unlabeled voxels."""
        at_border = (self.start == 0).any(axis=1) | (self.stop == self.ids_zyx.shape).any(axis=1)
        return np.asarray(at_border | self.beside_unlabeled, np.bool_)


def find_components(ids_zyx: Ids, labelled_zyx: Mask) -> Components:
    """Components of a box.

    Args:
        ids_zyx: (Z, Y, X) integers, 0 is background or unlabeled.
        labelled_zyx: (Z, Y, X), False where nobody looked.
    """
    import cc3d
    import fastremap

    ids, raw = fastremap.renumber(ids_zyx, preserve_zero=True, in_place=False)
    ids = np.ascontiguousarray(ids).view(f"u{ids.dtype.itemsize}")
    components, count = cc3d.connected_components(ids, connectivity=6, return_N=True)
    statistics = cc3d.statistics(components, no_slice_conversion=True)
    bounds = statistics["bounding_boxes"][1 : count + 1].astype(np.int64)
    row = np.zeros(count + 1, np.int64)
    row[components] = ids
    value = np.zeros(len(raw) + 1, ids_zyx.dtype)
    value[list(raw.values())] = list(raw.keys())
    touching = np.zeros(count, bool)
    touching[_beside(components, ~labelled_zyx) - 1] = True
    voxels = statistics["voxel_counts"][1 : count + 1].astype(np.float64)
    return Components(components, value[row[1:]], voxels, bounds[:, ::2], bounds[:, 1::2] + 1, touching)


def extents_nm(start: npt.NDArray[np.int64], stop: npt.NDArray[np.int64], voxel_size_nm: ZyxFloat) -> Floats:
    """(N,) longest side of boxes from ``start`` to ``stop``, both (N, 3)."""
    return np.asarray(((stop - start) * np.asarray(voxel_size_nm)).max(axis=1, initial=0.0), np.float64)


@dataclass(frozen=True)
class Widths:
    """Inscribed diameters with the voxels that each stands for, both (M,).

    Attributes:
        of_profiles: Whether they are of profiles in sections, instead of one for each component.
    """

    diameter_nm: Floats
    voxels: Floats
    of_profiles: bool = False


def join_widths(parts: Sequence[Widths]) -> Widths:
    """The widths of several boxes in one."""
    return Widths(
        np.concatenate([np.zeros(0), *(w.diameter_nm for w in parts)]),
        np.concatenate([np.zeros(0), *(w.voxels for w in parts)]),
        of_profiles=any(w.of_profiles for w in parts),
    )


def inscribed_diameters(components: Components, voxel_size_nm: ZyxFloat) -> Widths:
    """Twice the largest distance to what is not the component.

    Distances run between voxel centers, so a plate of n voxels has the diameter n (n even) or n + 1 (n odd). The box's
    border does not count as an end; what it leaves open is at most as wide as the component is long. From an anisotropy
    of 3 the profiles that the sections show are measured, each for itself; otherwise the components are.
    """
    ids = components.ids_zyx
    if anisotropy(voxel_size_nm) < FLAT_ANISOTROPY:
        diameter = 2 * _largest_distances(ids, voxel_size_nm, len(components.voxels))
        longest = extents_nm(components.start, components.stop, voxel_size_nm)
        return Widths(np.minimum(diameter, longest), components.voxels)
    axis = cutting_axis(voxel_size_nm)
    plane = tuple(s for i, s in enumerate(voxel_size_nm) if i != axis)
    found = [_profile_widths(np.ascontiguousarray(section), plane) for section in np.moveaxis(ids, axis, 0)]
    return join_widths(found)


def profiles_of(section: Ids) -> tuple[Ids, int]:
    """Connected regions of equal ids in one section, (A, B) numbered from 1, and their number."""
    import cc3d

    profiles, count = cc3d.connected_components(section, connectivity=4, return_N=True)
    return profiles, int(count)


def _profile_widths(section: Ids, plane_nm: tuple[float, ...]) -> Widths:
    import cc3d

    profiles, count = profiles_of(section)
    if not count:
        return Widths(np.zeros(0), np.zeros(0), of_profiles=True)
    statistics = cc3d.statistics(profiles, no_slice_conversion=True)
    bounds = statistics["bounding_boxes"][1 : count + 1].astype(np.int64)
    sides = (bounds[:, 1::2] + 1 - bounds[:, ::2]) * np.asarray(plane_nm)
    diameter = 2 * _largest_distances(profiles, plane_nm, count)
    voxels = statistics["voxel_counts"][1 : count + 1].astype(np.float64)
    return Widths(np.minimum(diameter, sides.max(axis=1)), voxels, of_profiles=True)


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

"""Patch, topology and width together: what the field of view asks for, and what memory and time allow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytc_auto.geometry import Zyx, ZyxFloat, anisotropy, cutting_axis, zyx
from pytc_auto.planning.decisions import rounded
from pytc_auto.planning.topology import Topology, choose_topology
from pytc_auto.schema.dataset import Task
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.plan import Network, Numbers

FIELD_OF_VIEW_NM = 1200.0
LEAST_FIELD_OF_VIEW_NM = 600.0
MOST_FIELD_OF_VIEW_NM = 2000.0
BLOB_FACTOR = 1.5
MOST_FLOOR_VOXELS = 160
"""On very fine grids the least field of view gives way to memory."""
LEAST_VOXELS = 32
"""On very coarse grids a patch is still a picture."""
MOST_OF_VOLUME = 0.75
"""A patch as deep as its stack shows section 1 at depth 1 always; where its labels are blank, depth 1 is never learned."""
LEAST_SECTIONS = 16
LEAST_SECTIONS_ANISOTROPIC = 8
VERY_ANISOTROPIC = 6.0
THIN_SECTIONS = 1.5
MOST_FEATURES = {"cpu": 8, "cuda": 10}
"""Features grow with each stage up to this multiple of the first stage's."""


@dataclass(frozen=True)
class Candidate:
    """A patch and the network that goes with it."""

    patch: Zyx
    network: Network


def wanted_field_of_view(fingerprint: Fingerprint, task: Task) -> tuple[float, str, Numbers]:
    """Field of view in nm, the rule, and its numbers."""
    facts = fingerprint.labels.instances if fingerprint.labels else None
    if task == "objects":
        if facts is None or facts.extent_nm is None:
            return FIELD_OF_VIEW_NM, "patch.unknown_extent", {"extent_p95_nm": None}
        extent = facts.extent_nm["p95"]
        wanted = min(MOST_FIELD_OF_VIEW_NM, max(LEAST_FIELD_OF_VIEW_NM, BLOB_FACTOR * extent))
        return rounded(wanted), "patch.blob_extent", {"extent_p95_nm": extent, "factor": BLOB_FACTOR}
    return FIELD_OF_VIEW_NM, "patch.field_of_view", {}


def candidates(voxel_size_nm: ZyxFloat, extent: Zyx | None, wanted_nm: float, *, width: int, device: str) -> Iterator[Candidate]:
    """Patches from the wanted field of view down to the least one, each with its network.

    The axis with the largest extent in nm shrinks first; axes of equal voxel size shrink together, so that symmetries stay.

    Args:
        voxel_size_nm: Of the working grid.
        extent: Of the smallest volume on the working grid; None where it is not known.
        wanted_nm: Field of view.
        width: Features of the first stage.
        device: cpu or cuda.
    """
    sizes = [wanted_nm / s for s in voxel_size_nm]
    floors = _floors(voxel_size_nm, min(wanted_nm, LEAST_FIELD_OF_VIEW_NM))
    sizes = [max(n, f) for n, f in zip(sizes, floors, strict=True)]
    last: Candidate | None = None
    while True:
        candidate = _candidate(voxel_size_nm, extent, sizes, width, device)
        if last is None or candidate.patch != last.patch:
            yield candidate
        last = candidate
        shrunk = _shrink(voxel_size_nm, sizes, floors, candidate)
        if shrunk == sizes:
            return
        sizes = shrunk


def _floors(voxel_size_nm: ZyxFloat, least_nm: float) -> list[float]:
    """Fewest voxels per axis; a cutting axis of thin sections keeps a number of sections."""
    floors = [min(max(least_nm / s, LEAST_VOXELS), MOST_FLOOR_VOXELS) for s in voxel_size_nm]
    ratio = anisotropy(voxel_size_nm)
    if ratio >= THIN_SECTIONS:
        sections = LEAST_SECTIONS_ANISOTROPIC if ratio >= VERY_ANISOTROPIC else LEAST_SECTIONS
        cut = cutting_axis(voxel_size_nm)
        floors[cut] = max(least_nm / voxel_size_nm[cut], sections)
    return floors


def _shrink(voxel_size_nm: ZyxFloat, sizes: Sequence[float], floors: Sequence[float], candidate: Candidate) -> list[float]:
    """One step less on the axis with the largest extent in nm that may still shrink."""
    open_axes = [i for i in range(3) if sizes[i] > floors[i] + 1e-9]
    if not open_axes:
        return list(sizes)
    largest = max(open_axes, key=lambda i: (round(sizes[i] * voxel_size_nm[i], 6), i))
    alike = [i for i in open_axes if abs(voxel_size_nm[i] - voxel_size_nm[largest]) <= 0.05 * voxel_size_nm[largest]]
    alike = [i for i in alike if abs(sizes[i] - sizes[largest]) < 1]
    step = candidate.network.divisor
    return [max(floors[i], n - step[i]) if i in alike else n for i, n in enumerate(sizes)]


def _candidate(voxel_size_nm: ZyxFloat, extent: Zyx | None, sizes: Sequence[float], width: int, device: str) -> Candidate:
    """Clip to the volume, choose the topology, round to what it divides by."""
    room = zyx([_room(n) for n in extent]) if extent else zyx([2**31] * 3)
    clipped = [min(n, float(e)) for n, e in zip(sizes, room, strict=True)]
    topology = choose_topology(voxel_size_nm, (clipped[0], clipped[1], clipped[2]))
    patch = zyx([_divisible(n, e, d) for n, e, d in zip(clipped, room, topology.divisor, strict=True)])
    return Candidate(patch, _network(topology, width, MOST_FEATURES[device]))


def _room(extent: int) -> int:
    """The longest patch in a volume: it must lie in several places, or each section is learned at one depth only."""
    return extent if extent <= LEAST_SECTIONS_ANISOTROPIC else max(LEAST_SECTIONS_ANISOTROPIC, int(MOST_OF_VOLUME * extent))


def _divisible(size: float, extent: int, divisor: int) -> int:
    """The nearest multiple of ``divisor`` that is not larger than the volume; one divisor at least."""
    return max(divisor, min(round(size / divisor), extent // divisor) * divisor)


def _network(topology: Topology, width: int, most: int) -> Network:
    stages = len(topology.strides)
    return Network(
        kind="unet",
        features=[width * min(2**i, most) for i in range(stages)],
        strides=list(topology.strides),
        kernels=list(topology.kernels),
        blocks=[2] * stages,
    )


def smallest_extent(fingerprint: Fingerprint, scale: Zyx) -> Zyx | None:
    """Extent per axis of the smallest labelled volume on the working grid; None where a shape is not known."""
    return _smallest([v.shape for v in fingerprint.volumes if v.labelled], scale)


def smallest_labelled(fingerprint: Fingerprint, scale: Zyx) -> Zyx | None:
    """The same of the boxes that are labelled, without the context around them."""
    return _smallest([v.labels_box.shape if v.labels_box else v.shape for v in fingerprint.volumes if v.labelled], scale)


def _smallest(shapes: Sequence[Zyx | None], scale: Zyx) -> Zyx | None:
    known = [s for s in shapes if s is not None]
    if not known or len(known) < len(shapes):
        return None
    return zyx([max(1, math.ceil(min(s[i] for s in known) / scale[i])) for i in range(3)])


def field_of_view(patch: Zyx, voxel_size_nm: ZyxFloat) -> list[float]:
    """Extent of a patch in nm."""
    return [rounded(n * s) for n, s in zip(patch, voxel_size_nm, strict=True)]

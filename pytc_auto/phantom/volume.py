"""A synthetic EM volume with its truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytc_auto.errors import DataError
from pytc_auto.geometry import Zyx, ZyxFloat, anisotropy, cutting_axis, zyx
from pytc_auto.phantom.fields import FloatArray, Grid, LabelArray
from pytc_auto.phantom.image import detect, mitochondrion_mask, tissue_gray, vary_sections
from pytc_auto.phantom.tissue import make_tissue, sample_tissue

CLASS_NAMES: dict[int, str] = {0: "cytoplasm", 1: "membrane", 2: "mitochondrion"}
SUBSECTIONS = 3
SERIAL_ANISOTROPY = 1.5
LARGEST_SHIFT = 1
BLOCK_NOISE = 6.5
SERIAL_NOISE = 15.0
GAP_HALF_NM = 8.0
SMALLEST_NEURITE_NM3 = 3e5
SMALLEST_MITOCHONDRION_NM3 = 1e5

Uint8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Phantom:
    """A synthetic EM volume, all arrays (Z, Y, X).

    Attributes:
        image_zyx: Gray values, uint8; membranes are dark.
        neurons_zyx: Instance ids, uint32, each one 6-connected component; 0 in the thin gap at the membrane.
            Different ids never touch.
        mitochondria_zyx: Instance ids, uint32, each one component inside one neuron; 0 elsewhere.
        classes_zyx: uint8, named in ``CLASS_NAMES``.
        voxel_size_nm: Of all arrays.
    """

    image_zyx: Uint8Array
    neurons_zyx: LabelArray
    mitochondria_zyx: LabelArray
    classes_zyx: Uint8Array
    voxel_size_nm: ZyxFloat


@dataclass(frozen=True)
class _Sections:
    """What the sections show, on the volume's grid."""

    gray_zyx: FloatArray
    neurites_zyx: LabelArray
    membrane_nm_zyx: FloatArray
    in_mitochondrion_zyx: npt.NDArray[np.bool_]


def make_phantom(shape: Zyx, voxel_size_nm: ZyxFloat, *, seed: int) -> Phantom:
    """Make a volume of neuropil.

    The tissue depends on the seed and on the extent in nanometers: two voxel sizes that cover the same box sample the same
    neurites. From an anisotropy of 1.5 the volume is cut into sections: each shows the mean over its thickness, and has
    contrast, brightness and a shift of at most one voxel of its own; truth is what lies in a section's middle and shifts with it.

    Args:
        shape: Voxels.
        voxel_size_nm: Membranes are about 25 nm thick in the image, so 4 to 15 nm in the plane shows them as microscopes do.
        seed: The same one gives the same volume.

    Raises:
        DataError: An extent or a voxel size is not positive.
    """
    if min(shape) < 1 or min(voxel_size_nm) <= 0:
        raise DataError(
            f"phantom: wanted a positive shape and voxel size, got {tuple(shape)} voxels of {tuple(voxel_size_nm)} nm."
        )
    tissue_rng, image_rng = np.random.default_rng(seed).spawn(2)
    z, y, x = (n * s for n, s in zip(shape, voxel_size_nm, strict=True))
    tissue = make_tissue((z, y, x), tissue_rng)
    serial = anisotropy(voxel_size_nm) >= SERIAL_ANISOTROPY
    cut = cutting_axis(voxel_size_nm)
    grid = _render_grid(shape, voxel_size_nm, cut if serial else None)
    sampled = sample_tissue(tissue, grid)
    gray = tissue_gray(sampled, grid, image_rng)
    sections = _Sections(gray, sampled.neurites_zyx, sampled.membrane_nm_zyx, mitochondrion_mask(sampled))
    if serial:
        sections = _cut(sections, cut, image_rng)
    return _with_truth(sections, voxel_size_nm, detect(sections.gray_zyx, SERIAL_NOISE if serial else BLOCK_NOISE, image_rng))


def _render_grid(shape: Zyx, voxel_size_nm: ZyxFloat, cut: int | None) -> Grid:
    """The voxels themselves; of sections, several thinner ones each, and a rim in the plane for their shifts."""
    counts, steps, starts = [], [], []
    for axis, (count, size) in enumerate(zip(shape, voxel_size_nm, strict=True)):
        parts = SUBSECTIONS if axis == cut else 1
        rim = LARGEST_SHIFT if cut not in (None, axis) else 0
        counts.append(count * parts + 2 * rim)
        steps.append(size / parts)
        starts.append(size / parts / 2 - rim * size)
    return Grid(zyx(counts), (steps[0], steps[1], steps[2]), (starts[0], starts[1], starts[2]))


def _cut(rendered: _Sections, axis: int, rng: np.random.Generator) -> _Sections:
    """Sections from thinner ones: mean gray, truth from the middle, each shifted and with its own contrast."""
    count = rendered.gray_zyx.shape[axis] // SUBSECTIONS
    shifts = rng.integers(-LARGEST_SHIFT, LARGEST_SHIFT, (count, 2), endpoint=True)

    def middle(values_zyx: npt.NDArray) -> npt.NDArray:
        chosen = [slice(None)] * 3
        chosen[axis] = slice(SUBSECTIONS // 2, None, SUBSECTIONS)
        return _shifted(values_zyx[tuple(chosen)], axis, shifts)

    starts = np.arange(count) * SUBSECTIONS
    mean = np.add.reduceat(rendered.gray_zyx, starts, axis=axis) / np.float32(SUBSECTIONS)
    gray = vary_sections(_shifted(mean, axis, shifts), axis, rng)
    return _Sections(gray, middle(rendered.neurites_zyx), middle(rendered.membrane_nm_zyx), middle(rendered.in_mitochondrion_zyx))


def _shifted(values_zyx: npt.NDArray, axis: int, shifts_n2: npt.NDArray[np.int64]) -> npt.NDArray:
    """Each section without its rim, moved by its shift."""
    first, second = (n - 2 * LARGEST_SHIFT for i, n in enumerate(values_zyx.shape) if i != axis)
    moved = [
        section[LARGEST_SHIFT + a : LARGEST_SHIFT + a + first, LARGEST_SHIFT + b : LARGEST_SHIFT + b + second]
        for section, (a, b) in zip(np.moveaxis(values_zyx, axis, 0), shifts_n2, strict=True)
    ]
    return np.ascontiguousarray(np.moveaxis(np.stack(moved), 0, axis))


def _with_truth(sections: _Sections, voxel_size_nm: ZyxFloat, image_zyx: Uint8Array) -> Phantom:

    voxel_nm3 = float(np.prod(voxel_size_nm))
    neurites = np.where(sections.membrane_nm_zyx < GAP_HALF_NM, 0, sections.neurites_zyx)
    neurites = _components(_parted(neurites, sections.membrane_nm_zyx), SMALLEST_NEURITE_NM3 / voxel_nm3)
    inside = np.where(sections.in_mitochondrion_zyx, neurites, 0)
    mitochondria = _components(inside, SMALLEST_MITOCHONDRION_NM3 / voxel_nm3)
    classes = np.where(neurites == 0, 1, np.where(mitochondria > 0, 2, 0)).astype(np.uint8)
    return Phantom(image_zyx, neurites, mitochondria, classes, voxel_size_nm)


def _components(labels_zyx: LabelArray, smallest: float) -> LabelArray:
    """6-connected components of equal ids, 1..n, without tiny ones."""
    import cc3d

    kept = cc3d.dust(labels_zyx, threshold=max(2, int(smallest)), connectivity=6)
    found: LabelArray = cc3d.connected_components(kept, connectivity=6, out_dtype=np.uint32)
    return found


def _parted(labels_zyx: LabelArray, membrane_nm_zyx: FloatArray) -> LabelArray:
    """Labels in which different ids do not touch: of two that do, the voxel nearer to the interface becomes 0."""
    parted = labels_zyx.copy()
    for axis in range(3):
        ahead, behind = (tuple(s if i == axis else slice(None) for i in range(3)) for s in (slice(1, None), slice(None, -1)))
        touch = (parted[ahead] != parted[behind]) & (parted[ahead] > 0) & (parted[behind] > 0)
        nearer = membrane_nm_zyx[ahead] <= membrane_nm_zyx[behind]
        parted[ahead][touch & nearer] = 0
        parted[behind][touch & ~nearer] = 0
    return parted

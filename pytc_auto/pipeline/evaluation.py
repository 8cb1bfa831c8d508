"""``pytc evaluate``: score a segmentation against labels, on skeletons, or both."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pytc_auto.errors import DataError, OutputError
from pytc_auto.evaluation.boundary import VOXELS, Tolerance
from pytc_auto.evaluation.compare import Compared, compare
from pytc_auto.evaluation.region import Placed, Region, common_region
from pytc_auto.evaluation.scores import Kind
from pytc_auto.files import write_whole
from pytc_auto.geometry import Box, Zyx, ZyxFloat, zyx
from pytc_auto.io.grid import nm
from pytc_auto.io.open import locate, open_segmentation
from pytc_auto.io.volume import Volume
from pytc_auto.pipeline.model_folder import same_size
from pytc_auto.pipeline.placing import placed_in
from pytc_auto.pipeline.run_lengths import follow
from pytc_auto.pipeline.segmentation_job import refuse_unfinished
from pytc_auto.progress import Progress, silent
from pytc_auto.schema.dataset import SkeletonUnits
from pytc_auto.schema.scores import ComparedBox, ComparedVolume, Evaluation

OF_INSTANCES = (
    "0 in the labels: left out of voi, adapted_rand and cremi. 0 in the segmentation: one more segment in voi and "
    "adapted_rand, none in cremi_adapted_rand. ap and pq: 0 is no instance; its voxels count in the size of what covers them"
)
EQUAL_NEIGHBORS = 0.5
"""Of neighbors along x, 0.90 to 1.00 have the same id in the labels of five data sets, 0.02 to 0.04 the same gray value."""
FEW_VALUES = 20
SEEN: Zyx = (1, 512, 512)
BACKGROUND: dict[Kind, str] = {
    "instances": OF_INSTANCES,
    "synapses": f"{OF_INSTANCES}. synapse scores: as ap",
    "classes": "0 is a class as any other; it, or the first value where there is no 0, is left out of mean_foreground_dice",
}


def evaluate(  # noqa: PLR0913
    segmentation: str | Path,
    labels: str | Path | None = None,
    *,
    kind: Kind | None = None,
    components: bool = False,
    box: Box | None = None,
    ignore: str | Path | None = None,
    border: Zyx = (0, 0, 0),
    boundary_nm: float | None = None,
    skeletons: str | Path | None = None,
    skeleton_units: SkeletonUnits = "nm",
    voxel_size_nm: ZyxFloat | None = None,
    json_file: str | Path | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> dict[str, float]:
    """Compare a segmentation with the truth: labels voxel by voxel, skeletons node by node.

    Args:
        segmentation: An output folder of ``pytc predict``, or any label volume.
        labels: The truth, any format. Of volumes that tell where they begin, the common part is compared. None: only skeletons.
        kind: What the labels are; None: guessed from how many values occur in what is compared, by ``guess_kind``.
        components: Count the pieces of an id of the labels that do not touch inside what is compared as objects of their own, as
            ``pytc train`` scores its held-out part.
        box: Compare this part only, in voxels of the labels; of the segmentation where there are none.
        ignore: A mask; where it is not 0, nobody looked, and voxels do not count.
        border: Voxels left out at each face of what is compared, z, y, x.
        boundary_nm: How far apart the boundaries of a class may be; None: two voxels of the finest axis.
        skeletons: An SWC file, a folder of these, or a pickled networkx graph as NISB's, followed in the whole segmentation, or
            cut at the faces of the box, where pieces of one skeleton are runs of their own, as in the held-out part of training.
        skeleton_units: Of SWC files, which store x, y, z.
        voxel_size_nm: z, y, x of all volumes; None: as the files tell.
        json_file: Where to write the scores as well, with all that changes them, as a ``schema.scores.Evaluation``.
        say: Told what was assumed of where the volumes lie, and that a volume looks like an image.
        progress: Told how far the comparison is.

    Returns:
        Name to value. Boundaries of classes are scored where the voxel size is known.

    Raises:
        DataError: A file cannot be read, or does not fit the others; a box or a border leaves nothing; there is no truth, or
            none that has components.
        OutputError: The scores cannot be written, or the segmentation is an output that is not complete.
    """
    if labels is None and skeletons is None:
        raise DataError(f"{segmentation}: there is nothing to score it by. Give the labels, or --skeletons FILE, or both.")
    if skeletons is not None and (ignore is not None or any(border)):
        told = "skeletons are followed in all of the box, or of the segmentation"
        raise DataError(f"{skeletons}: {told}. Leave out --border and --ignore, or score labels and skeletons one by one.")
    if labels is None and components:
        raise DataError(f"{segmentation}: components are of labels. Give the labels, or leave out --components.")
    refuse_unfinished(Path(segmentation))
    found = open_segmentation(segmentation, voxel_size_nm=voxel_size_nm)
    document = Evaluation(segmentation=_identity(Placed(found, (0, 0, 0))), voxel_size_nm=found.voxel_size_nm, scores={})
    part = None
    if labels is not None:
        truth = open_segmentation(labels, voxel_size_nm=voxel_size_nm)
        mask = None if ignore is None else open_segmentation(ignore, voxel_size_nm=voxel_size_nm)
        region = common_region(placed_in(found, truth, say), truth, box=box, ignore=mask, border=border)
        _doubt(region.truth, region.box, say)
        _doubt(found, region.box.relative_to(region.segmentation.start), say)
        _doubt_size(found, region.truth, say)
        tolerance = _tolerance(region, boundary_nm)
        compared = compare(region, kind=kind, components=components, tolerance=tolerance, progress=progress)
        _doubt_values(compared, region, say)
        document = _document(region, compared, border, tolerance).replace(components=components)
        part = None if box is None else region.box.relative_to(region.segmentation.start)
    elif box is not None:
        part = _part(found, box)
        document = document.replace(box=ComparedBox(start=box.start, stop=box.stop))
    if skeletons is not None:
        followed = follow(found, skeletons, skeleton_units, part, progress)
        document = document.replace(skeletons=followed.facts, scores={**document.scores, **followed.scores})
    if json_file is not None:
        _write(Path(json_file), document)
    return document.scores


def _part(segmentation: Volume, box: Box) -> Box:
    """A box that lies in the segmentation."""
    if not box.size or not segmentation.box.contains(box):
        raise DataError(f"--box: {box} is not a part of {segmentation.source}, which is {segmentation.box} (z, y, x).")
    return box


def _doubt(volume: Volume, box: Box, say: Callable[[str], None]) -> None:
    """Tell where the middle of a box looks like an image: many values, and neighbors that rarely have the same."""
    shape = zyx([min(n, most) for n, most in zip(box.shape, SEEN, strict=True)])
    values = volume.read(Box.of_shape(shape, [a + (n - m) // 2 for a, n, m in zip(box.start, box.shape, shape, strict=True)]))
    equal = values[..., 1:] == values[..., :-1]
    if equal.size and equal.mean() < EQUAL_NEIGHBORS and len(np.unique(values)) > FEW_VALUES:
        share = f"only {equal.mean():.0%} of neighboring voxels have the same value, as in an image"
        say(f"{volume.source}: {share}. The scores mean nothing unless these are labels; give segmentation and labels.")


def _doubt_size(found: Volume, truth: Volume, say: Callable[[str], None]) -> None:
    """Tell where two volumes have voxels of other sizes, and are compared voxel by voxel."""
    one, other = found.voxel_size_nm, truth.voxel_size_nm
    if one and other and not same_size(one, other):
        sizes = f"{found.source} tells voxels of {nm(one)}, {truth.source} of {nm(other)}"
        say(f"{sizes}. They are compared voxel by voxel; if these are not the same voxels, the scores mean nothing.")


def _doubt_values(compared: Compared, region: Region, say: Callable[[str], None]) -> None:
    """Tell where the classes of two volumes have no value in common."""
    found, true = (", ".join(map(str, values)) for values in compared.values)
    if found and true and not set(compared.values[0]) & set(compared.values[1]):
        told = f"{region.truth.source} holds the classes {true}, {region.segmentation.volume.source} {found}"
        say(f"{told} (and 0 each): none is in both, and so none agrees. Store both with the same values.")


def _tolerance(region: Region, boundary_nm: float | None) -> Tolerance | None:
    """What was asked for, or two voxels of the finest axis; none where the voxel size is not known.

    Raises:
        DataError: A length is asked for, and the voxel size is not known.
    """
    size = region.voxel_size_nm
    if size is None and boundary_nm is not None:
        raise DataError(
            f"{region.truth.source}: tells no voxel size, so {boundary_nm:g} nm cannot be measured. Give --voxel-size Z,Y,X."
        )
    return None if size is None else Tolerance(VOXELS * min(size) if boundary_nm is None else boundary_nm, size)


def _document(region: Region, compared: Compared, border: Zyx, tolerance: Tolerance | None) -> Evaluation:
    return Evaluation(
        segmentation=_identity(region.segmentation),
        labels=_identity(Placed(region.truth, (0, 0, 0))),
        ignore=None if region.ignore is None else _identity(region.ignore),
        kind=compared.kind,
        background=BACKGROUND[compared.kind],
        box=ComparedBox(start=region.box.start, stop=region.box.stop),
        border=border,
        voxels=compared.voxels,
        voxel_size_nm=region.voxel_size_nm,
        boundary_nm=tolerance.nm if tolerance and compared.kind == "classes" else None,
        scores=compared.scores,
    )


def _write(path: Path, document: Evaluation) -> None:
    try:
        write_whole(path, document.text(".json"))
    except OSError as error:
        raise OutputError(f"{path}: the scores cannot be written ({error.strerror}). Choose another --json.") from error


def _identity(placed: Placed) -> ComparedVolume:
    """A volume, and the state of its files."""
    volume = placed.volume
    place, _ = locate(volume.source)
    files = [p for p in (place, *place.rglob("*")) if p.is_file()] if isinstance(place, Path) else []
    states = [file.stat() for file in files]
    newest = datetime.datetime.fromtimestamp(max(s.st_mtime for s in states), datetime.UTC) if states else None
    return ComparedVolume(
        source=volume.source,
        shape=volume.shape,
        dtype=str(volume.dtype),
        voxel_size_nm=volume.voxel_size_nm,
        offset_nm=volume.offset_nm,
        start=placed.start,
        bytes=sum(s.st_size for s in states) if states else None,
        modified=newest.isoformat(timespec="seconds") if newest else None,
    )

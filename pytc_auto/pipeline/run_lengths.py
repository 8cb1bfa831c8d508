"""Score a segmentation on skeletons, for ``pytc evaluate --skeletons``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytc_auto.evaluation.erl import MERGE_THRESHOLDS, skeleton_scores
from pytc_auto.evaluation.node_segments import node_segments
from pytc_auto.geometry import Box
from pytc_auto.io.skeletons import read_skeletons
from pytc_auto.io.volume import Volume
from pytc_auto.progress import Progress, silent
from pytc_auto.schema.dataset import SkeletonUnits
from pytc_auto.schema.skeletons import ComparedSkeletons


@dataclass(frozen=True)
class Followed:
    """Scores by name, and all that changes them."""

    scores: dict[str, float]
    facts: ComparedSkeletons


def follow(
    segmentation: Volume,
    skeletons: str | Path,
    units: SkeletonUnits = "nm",
    box: Box | None = None,
    progress: Progress = silent,
) -> Followed:
    """How far the skeletons can be followed in a segmentation.

    Args:
        segmentation: Read only where nodes are.
        skeletons: An SWC file, a folder of these, or a pickled graph, as ``read_skeletons`` takes.
        units: Of SWC files.
        box: Part of the segmentation, in its voxels. The skeletons are cut at its faces; each piece is a run of its own.
        progress: Told how far the reading is.

    Raises:
        DataError: A file cannot be read, or skeletons and segmentation do not fit.
    """
    whole = read_skeletons(skeletons, segmentation, units)
    inside = whole.inside(segmentation.shape) if box is None else whole.clipped(box)
    segments = node_segments(segmentation, inside.nodes_zyx, progress)
    facts = ComparedSkeletons(
        source=str(skeletons),
        units=units,
        voxel_size_nm=segmentation.voxel_size_nm,
        merge_thresholds=list(MERGE_THRESHOLDS),
        clipped=box is not None,
        skeletons=inside.count,
        nodes=len(inside.skeleton),
        nodes_outside=len(whole.skeleton) - len(inside.skeleton),
        length_nm=float(inside.lengths_nm.sum()),
    )
    return Followed(skeleton_scores(inside, segments), facts)

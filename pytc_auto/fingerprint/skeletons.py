"""The skeletons of a data set: how many, how long, and how much of them lies where labels are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytc_auto.errors import DataError
from pytc_auto.fingerprint.percentiles import weighted_percentiles
from pytc_auto.geometry import Box
from pytc_auto.io.entry import open_labels
from pytc_auto.io.skeletons import open_skeletons
from pytc_auto.schema.dataset import VolumeEntry
from pytc_auto.schema.fingerprint import SkeletonFacts

PERCENTAGES = (10, 50, 90)


def skeleton_facts(entries: Sequence[VolumeEntry]) -> SkeletonFacts | None:
    """What is known of the skeletons of all volumes; None where there are none. They are read whole, and no voxels.

    Args:
        entries: Where the volumes are.

    Raises:
        DataError: A file cannot be read, or none of its skeletons lies in the labelled part of its volume.
    """
    lengths, total, inside, labelled = [np.zeros(0)], 0.0, 0.0, 0
    for entry in entries:
        if entry.skeletons is None:
            continue
        found = open_skeletons(entry)
        lengths.append(found.lengths_nm[found.lengths_nm > 0])
        total += float(found.edge_lengths_nm.sum())
        if entry.labels is not None:
            labelled += 1
            box = Box.of_shape(open_labels(entry).shape, entry.labels_start)
            here = found.length_in(box)
            if not here > 0:
                reach = f"{found.nodes_zyx.min(axis=0).tolist()} to {found.nodes_zyx.max(axis=0).tolist()}"
                raise DataError(
                    f"{found.source}: no skeleton lies in the labelled part of {entry.name}, {box}; in voxels "
                    f"they reach from {reach} (z, y, x). Check skeleton_units in dataset.yaml, which are taken as "
                    f"{entry.skeleton_units}, the voxel size, and that both are of one volume."
                )
            inside += here
    every = np.concatenate(lengths)
    if not every.size:
        return None
    return SkeletonFacts(
        volumes=labelled,
        count=len(every),
        length_nm=weighted_percentiles(every, np.ones(len(every)), PERCENTAGES),
        total_length_nm=total,
        labelled_fraction=inside / total,
    )

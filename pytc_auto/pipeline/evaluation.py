"""``pytc evaluate``: score a segmentation against labels."""

from __future__ import annotations

import json
from pathlib import Path

from pytc_auto.errors import DataError
from pytc_auto.evaluation.scores import score_volumes
from pytc_auto.io.open import open_segmentation
from pytc_auto.progress import Progress, silent


def evaluate(
    segmentation: str | Path,
    labels: str | Path,
    *,
    json_file: str | Path | None = None,
    progress: Progress = silent,
) -> dict[str, float]:
    """Compare a segmentation with the truth, voxel by voxel.

    Args:
        segmentation: An output folder of ``pytc predict``, or any label volume.
        labels: The truth, any format.
        json_file: Where to write the scores as well.
        progress: Told how far the comparison is.

    Returns:
        Name to value; instances or classes, as the labels are.

    Raises:
        DataError: A file cannot be read, or the shapes differ.
    """
    found, truth = open_segmentation(segmentation), open_segmentation(labels)
    if found.shape != truth.shape:
        raise DataError(
            f"{segmentation}: has shape {found.shape}, but {labels} has {truth.shape} (z, y, x). "
            "Give the segmentation and the labels of the same volume."
        )
    scores = score_volumes(found, truth, progress=progress)
    if json_file is not None:
        document = {
            "segmentation": str(segmentation),
            "labels": str(labels),
            "background": "label 0 is left out",
            "scores": scores,
        }
        Path(json_file).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return scores

"""Images and labels that lie beside one another, as in SNEMI3D's and Lucchi's downloads: names that differ by a word."""

from __future__ import annotations

import re
from pathlib import Path

from pytc_auto.io.open import format_of, is_container
from pytc_auto.io.pairing import IMAGE_KEYS, LABEL_KEYS, Pair, visible, with_key
from pytc_auto.schema.dataset import Declared

LABEL_WORDS = frozenset(
    ("label", "labels", "lbl", "groundtruth", "ground", "truth", "gt", "seg", "segmentation", "mask", "masks", "annotation")
)
IMAGE_WORDS = frozenset(("image", "images", "im", "img", "input", "raw", "em", "gray"))


def loose_pairs(root: Path, declared: Declared) -> list[Pair]:
    """The volumes of a folder whose files are images and labels: ``train-input.tif`` and ``train-labels.tif``.

    Args:
        root: The folder; files and containers in it count.
        declared: May tell the keys of containers.

    Returns:
        An image each, with the labels whose name is the same but for the words; empty where a name stands for two files, labels
        have no image, or there are none.
    """
    images: dict[tuple[str, ...], Path] = {}
    labels: dict[tuple[str, ...], Path] = {}
    for path in visible(root):
        if format_of(path) is None or not (path.is_file() or is_container(path)):
            continue
        words = [word for word in re.split(r"[^a-z0-9]+", path.name.partition(".")[0].lower()) if word]
        side = labels if LABEL_WORDS & set(words) else images
        key = tuple(word for word in words if word not in LABEL_WORDS | IMAGE_WORDS)
        if key in side:
            return []
        side[key] = path
    if not labels or not labels.keys() <= images.keys():
        return []
    return [
        Pair(
            image.name.partition(".")[0],
            with_key(image, declared.image_key, IMAGE_KEYS),
            with_key(labels[key], declared.labels_key, LABEL_KEYS) if key in labels else None,
        )
        for key, image in images.items()
    ]

"""How volumes are predicted and decoded."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytc_auto.geometry import Zyx, ZyxFloat, zyx
from pytc_auto.planning.decisions import Decision, rounded
from pytc_auto.planning.memory import forward_bytes
from pytc_auto.schema.dataset import Task
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.heads import DistanceHead, Head, PolarityHead
from pytc_auto.schema.network import Network
from pytc_auto.schema.plan import Decoder, Inference, Machine, Numbers

OVERLAP = 0.5
BLOCK_BYTES = 1e9
BLOCK_PATCHES = 8
WINDOW = 2
"""Patches along each axis of what is predicted at once."""
WINDOW_MEMORY_SHARE = 0.5
DENSE_FOREGROUND = 0.95
OBJECT_SIZES = ((20, 1 / 8), (100, 1 / 2))
"""Least voxels of an object that are tried, each no more than a share of the volume of the small ones."""

SPECKS_NM = (50, 80, 125)
"""Edges of the cubes whose volumes are tried as the least of a neuron's segment: smaller ones are given to a neighbor."""


def choose_window(machine: Machine, network: Network, patch: Zyx, channels: int) -> int:
    """How many patches long a window is: two, where memory holds the forward pass and the kind knows such extents, else one."""
    if network.one_extent:
        return 1
    doubled = zyx([n * WINDOW if n > 1 else n for n in patch])
    return WINDOW if forward_bytes(network, doubled, channels) <= WINDOW_MEMORY_SHARE * machine.memory_gb * 1e9 else 1


def choose_inference(machine: Machine, network: Network, patch: Zyx, channels: int, symmetries: int) -> Decision[Inference]:
    """Half a window of overlap; blocks of whole windows whose sums fit a gigabyte; mirrored predictions as time allows."""
    voxels = BLOCK_BYTES / (4 * (channels + 2))
    window = choose_window(machine, network, patch, channels)
    patches = BLOCK_PATCHES
    while patches > window and patches**3 * patch[0] * patch[1] * patch[2] > voxels:
        patches -= window
    block = zyx([n * patches for n in patch])
    averaged = min(symmetries, 1 if machine.device == "cpu" else 8)
    inference = Inference(overlap=OVERLAP, blending="gaussian", symmetries=averaged, block=block, window=window)
    numbers = {"patches_per_axis": patches, "block_bytes": BLOCK_BYTES, "window": window}
    return Decision(inference, "inference.block_memory", dict(numbers))


def choose_decoder(fingerprint: Fingerprint, task: Task, heads: Sequence[Head], voxel_size_nm: ZyxFloat) -> Decision[Decoder]:
    """The decoder family of the task and its heads, the grid that validation searches, and the metric that chooses.

    Objects grow from seeds where foreground stands clear of boundary. What is too small or thin for that is what hangs together.

    Args:
        fingerprint: Has the sizes of objects.
        task: As chosen.
        heads: As chosen.
        voxel_size_nm: Of the working grid.
    """
    foreground = fingerprint.labels.foreground_fraction if fingerprint.labels else None
    if any(isinstance(head, PolarityHead) for head in heads):
        grid = {"threshold": [0.3, 0.5, 0.7], "gap_nm": [0.0, 40.0], "min_size": [0, 100]}
        return Decision(Decoder(kinds=["polarity"], grid=grid, metric="ap"), "decoder.polarity", {})
    if task == "classes":
        decoder = Decoder(kinds=["argmax"], grid={"min_size": [0, 50, 200]}, metric="dice")
        return Decision(decoder, "decoder.classes", {})
    if task == "objects":
        least = _least_voxels(fingerprint, voxel_size_nm)
        thresholds = [0.3, 0.5, 0.7]
        grid = {"seed_threshold": thresholds, "foreground_threshold": thresholds, "threshold": thresholds}
        grid["min_size"] = sorted({int(min(n, share * (least or math.inf))) for n, share in OBJECT_SIZES})
        if any(isinstance(head, DistanceHead) for head in heads):
            grid["distance_threshold"] = [0.2, 0.5, 0.8]
        numbers: Numbers = {"voxels_p10": least}
        return Decision(Decoder(kinds=["seeded", "components"], grid=grid, metric="ap"), "decoder.objects", numbers)
    dense = foreground is not None and foreground >= DENSE_FOREGROUND
    grid = {
        "threshold": [round(0.05 * i, 2) for i in range(4, 19)],
        "bias": [0.3, 0.4, 0.5, 0.6, 0.7],
        "foreground_threshold": [0.0] if dense else [0.0, 0.2, 0.4, 0.6],
        "min_size": sorted({0, *(round(edge**3 / math.prod(voxel_size_nm)) for edge in SPECKS_NM)}),
    }
    decoder = Decoder(kinds=["agglomerate", "mutex"], grid=grid, metric="nerl" if _traced(fingerprint) else "voi")
    numbers = {"foreground_fraction": foreground, "dense": dense}
    if fingerprint.skeletons is None:
        return Decision(decoder, "decoder.neurons", numbers)
    facts = fingerprint.skeletons
    numbers |= {"skeletons": facts.count, "volumes_with_skeletons": facts.volumes, "volumes_with_labels": _labelled(fingerprint)}
    return Decision(decoder, "decoder.skeletons" if _traced(fingerprint) else "decoder.too_few_skeletons", numbers)


def _least_voxels(fingerprint: Fingerprint, voxel_size_nm: ZyxFloat) -> float | None:
    """Voxels of the working grid that an object has that is larger than a tenth of them; None where it is not known."""
    volumes = fingerprint.labels.instances.volume_nm3 if fingerprint.labels else None
    return rounded(volumes["p10"] / math.prod(voxel_size_nm)) if volumes else None


def _traced(fingerprint: Fingerprint) -> bool:
    """Whether run lengths can be measured on whatever is held out: all volumes with labels have skeletons.

    A person who corrects a segmentation asks how far a neuron can be followed; normalized expected run length tells.
    """
    facts = fingerprint.skeletons
    return facts is not None and facts.volumes is not None and facts.volumes >= _labelled(fingerprint) > 0


def _labelled(fingerprint: Fingerprint) -> int:
    return sum(volume.labelled for volume in fingerprint.volumes)

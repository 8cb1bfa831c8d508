"""How volumes are predicted and decoded."""

from __future__ import annotations

from pytc_auto.geometry import Zyx, zyx
from pytc_auto.planning.decisions import Decision
from pytc_auto.schema.dataset import Task
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.plan import Decoder, Inference, Machine

OVERLAP = 0.5
BLOCK_BYTES = 1e9
BLOCK_PATCHES = 8
DENSE_FOREGROUND = 0.95


def choose_inference(machine: Machine, patch: Zyx, channels: int, symmetries: int) -> Decision[Inference]:
    """Half a patch of overlap; blocks of whole patches whose sums fit a gigabyte; mirrored predictions as time allows."""
    voxels = BLOCK_BYTES / (4 * (channels + 2))
    patches = BLOCK_PATCHES
    while patches > 1 and patches**3 * patch[0] * patch[1] * patch[2] > voxels:
        patches -= 1
    block = zyx([n * patches for n in patch])
    averaged = min(symmetries, 1 if machine.device == "cpu" else 8)
    inference = Inference(overlap=OVERLAP, blending="gaussian", symmetries=averaged, block=block)
    return Decision(inference, "inference.block_memory", {"patches_per_axis": patches, "block_bytes": BLOCK_BYTES})


def choose_decoder(fingerprint: Fingerprint, task: Task) -> Decision[Decoder]:
    """The decoder family of the task and the grid that validation searches."""
    foreground = fingerprint.labels.foreground_fraction if fingerprint.labels else None
    if task == "classes":
        decoder = Decoder(kinds=["argmax"], grid={"min_size": [0, 50, 200]}, metric="dice")
        return Decision(decoder, "decoder.classes", {})
    if task == "objects":
        grid = {"seed_threshold": [0.3, 0.5, 0.7], "foreground_threshold": [0.3, 0.5, 0.7], "min_size": [20, 100]}
        return Decision(Decoder(kinds=["seeded"], grid=grid, metric="ap"), "decoder.objects", {})
    dense = foreground is not None and foreground >= DENSE_FOREGROUND
    grid = {
        "threshold": [round(0.05 * i, 2) for i in range(4, 19)],
        "bias": [0.2, 0.35, 0.5, 0.65],
        "foreground_threshold": [0.0] if dense else [0.0, 0.2, 0.4, 0.6],
        "min_size": [0, 100, 400],
    }
    decoder = Decoder(kinds=["agglomerate", "mutex"], grid=grid, metric="voi")
    return Decision(decoder, "decoder.neurons", {"foreground_fraction": foreground, "dense": dense})

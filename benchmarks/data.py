"""How fast crops are made ready to train on, beside nnU-Net's default 3D augmentation of the same crops.

    python benchmarks/data.py [--cores 1] [--crops 24]

Both pipelines run in turn in the same process, on the same volumes in memory, with the same kinds of effects at the same rates;
ours also reads and normalizes the stored values and makes the targets. With two cores each runs in two processes at once.
The rows are appended to results.md beside this file.
"""

from __future__ import annotations

import argparse
import datetime
import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from results import append, commit, machine
from scipy.spatial import cKDTree

from pytc_auto.data.crops import CropDataset
from pytc_auto.data.volumes import LabelledVolume, whole_regions
from pytc_auto.geometry import Box, Zyx, zyx
from pytc_auto.io.volume import ArrayVolume
from pytc_auto.planning.by_hand import read_overrides
from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.planner import make_plan
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.plan import Plan

HEADER = (
    "| crop | labels | cores | pytc_auto, crops/s | nnU-Net, crops/s | ratio | of rounds | date | commit | machine |\n"
    "|---|---|---|---|---|---|---|---|---|---|\n"
)
SECTION = "## Data path\n\n"
ROUNDS = 3
WARM_UP = 12
"""Crops that are not timed: what an effect imports is imported when it first happens."""
CASES: dict[str, tuple[str, Zyx, tuple[float, float, float]]] = {
    "isotropic": ("fib25", (128, 128, 128), (8.0, 8.0, 8.0)),
    "sections": ("cremi_neuron", (20, 256, 256), (45.0, 4.6, 4.6)),
}
BINARY = "vnc_mito"
INSTANCES = 125
RATES = {"spatial": 0.36, "noise": 0.1, "blur": 0.1, "gray": 0.54, "low_resolution": 0.125}
"""Of nnU-Net's effects: rotation or scaling; noise; blur; brightness, contrast or gamma; low resolution."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--crops", type=int, default=24, help="of each pipeline in a round, per core")
    parser.add_argument("--case", choices=[*CASES], action="append")
    parser.add_argument("--labels", choices=["instances", "binary"], action="append")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for case in arguments.case or CASES:
        for kind in arguments.labels or ("instances", "binary"):
            name, patch, size = CASES[case]
            image, labels = volume(zyx([2 * n for n in patch]), size, patch)
            labels = labels if kind == "instances" else ((labels % 3 == 0) * 255).astype(np.uint8)
            ours, theirs = _ours(name, patch, size, image, labels), nnunet_crops(patch, image, labels)
            rates = [(_rate(ours, arguments), _rate(theirs, arguments)) for _ in range(ROUNDS)]
            ratios = sorted(a / b for a, b in rates)
            mine, peer = (statistics.median(r) for r in zip(*rates, strict=True))
            row = ["×".join(map(str, patch)), kind, arguments.cores, f"{mine:.2f}", f"{peer:.2f}"]
            row += [f"{statistics.median(ratios):.1f}", f"{ratios[0]:.1f}–{ratios[-1]:.1f}"]
            row += [datetime.date.today(), commit(), machine()]
            append(f"| {' | '.join(map(str, row))} |\n", section=SECTION, header=HEADER)


def volume(shape: Zyx, size: tuple[float, float, float], patch: Zyx) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint32]]:
    """Noise and cells about random points, as many in a patch as INSTANCES."""
    rng = np.random.default_rng(0)
    count = INSTANCES * round(np.prod(shape) / np.prod(patch))
    points = rng.uniform(0, 1, (count, 3)) * np.array(shape) * size
    coarse = [np.arange(n) * s for n, s in zip(shape, size, strict=True)]
    labels = np.zeros(shape, np.uint32)
    tree = cKDTree(points)
    for z, at in enumerate(coarse[0]):
        plane = np.stack(np.meshgrid(coarse[1], coarse[2], indexing="ij"), -1).reshape(-1, 2)
        labels[z] = tree.query(np.column_stack([np.full(len(plane), at), plane]))[1].reshape(shape[1:]) + 1
    return rng.integers(0, 256, shape, dtype=np.uint8), labels


def _rate(make: Callable[[int], Any], arguments: argparse.Namespace) -> float:
    """Crops per second over all cores."""

    def work(first: int) -> None:
        for number in range(first, first + arguments.crops):
            make(number)

    started = time.perf_counter()
    if arguments.cores == 1:
        work(0)
    else:
        context = multiprocessing.get_context("fork")
        processes = [context.Process(target=work, args=(i * arguments.crops,)) for i in range(arguments.cores)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
    return arguments.cores * arguments.crops / (time.perf_counter() - started)


def _ours(
    name: str, patch: Zyx, size: tuple[float, float, float], image: npt.NDArray[Any], labels: npt.NDArray[Any]
) -> Callable[[int], Any]:
    """Crop i of a training, with the targets of the plan for these labels."""
    plan = peer_plan(name, patch, size, binary=labels.dtype == np.uint8)
    held = LabelledVolume(name, *(ArrayVolume(a, voxel_size_nm=size, source=name) for a in (image, labels)))
    dataset = CropDataset([held], plan, whole_regions([held]))
    for number in range(WARM_UP):
        dataset[number]
    return dataset.__getitem__


def peer_plan(name: str, patch: Zyx, size: tuple[float, float, float], *, binary: bool, more: Sequence[str] = ()) -> Plan:
    """A plan whose effects are those of nnU-Net, at its rates, for volumes of twice the patch."""
    known = Path(__file__).parent.parent / "fingerprints" / f"{BINARY if binary else name}.json"
    facts = Fingerprint.load(known).replace(voxel_size_nm=size)
    made = [v.replace(shape=[2 * n for n in patch], labels_box=None, voxel_size_nm=size) for v in facts.volumes]
    facts = facts.replace(volumes=made)
    flat = patch[0] < patch[1]
    effects = {
        "affine": {
            "probability": RATES["spatial"],
            "rotation_degrees": [180, 0, 0] if flat else [30, 30, 30],
            "scale": 0.3,
        },
        "intensity": {"probability": RATES["gray"], "contrast": 0.25, "brightness": 0.25, "gamma": 0.5},
        "low_resolution": {"probability": RATES["low_resolution"], "factor": 2.0},
        "blur": {"probability": RATES["blur"], "sigma_nm": min(size)},
        "noise": {"probability": RATES["noise"], "sigma": 0.3},
    }
    effects |= dict.fromkeys(("section_shift", "section_intensity", "missing_section"), "null")
    given = [
        f"patch={list(patch)}",
        f"augmentation.effects={effects}",
        "working_scale=[1,1,1]",
        "sampling.foreground_share=0",
        *more,
    ]
    texts = [text.replace(" ", "").replace("'", "") for text in given]
    return make_plan(facts, PRESETS["L"], by_hand=read_overrides(texts))


def nnunet_crops(patch: Zyx, image: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Callable[[int], Any]:
    """A random crop of the size that nnU-Net loads, through its training transforms."""
    from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    flat = max(patch) / patch[0] > 3
    turn = np.pi if flat else np.pi / 6
    loaded = [int(n) for n in get_patch_size(patch, (-turn, turn), (-turn, turn), (-turn, turn), (0.85, 1.25))]
    if flat:
        loaded[0] = patch[0]
    transforms = nnUNetTrainer.get_training_transforms(patch, (-turn, turn), None, (0, 1, 2), flat)
    normalized = ((image - image.mean()) / image.std()).astype(np.float32)
    stored = labels.astype(np.int16 if labels.max() < 2**15 else np.int32)

    def make(number: int) -> Any:
        rng = np.random.default_rng(number)
        torch.manual_seed(number)
        np.random.seed(number)  # noqa: NPY002
        shape = zyx([min(n, m) for n, m in zip(loaded, image.shape, strict=True)])
        box = Box.of_shape(shape, [int(rng.integers(n - k + 1)) for n, k in zip(image.shape, shape, strict=True)])
        data = torch.from_numpy(np.ascontiguousarray(normalized[box.slices])[None])
        segmentation = torch.from_numpy(np.ascontiguousarray(stored[box.slices])[None])
        return transforms(image=data, segmentation=segmentation)

    for number in range(WARM_UP):
        make(number)
    return make


if __name__ == "__main__":
    main()

"""How fast training steps follow one another, beside nnU-Net's own training step on the same network, patch and batch.

    python benchmarks/train.py [--kind unet --kind mednext] [--patch 64,64,64] [--steps 30] [--on-device]

Each row is a process of its own, so that its peak memory is its own. Ours is ``pytc train`` without validation: crops, targets,
augmentation, Lightning. The peer is nnU-Net's ``train_step`` with its augmentation, loss and optimizer, fed by as many workers.
With --on-device both get the same batch again and again and nobody waits for data. Peak memory is what comes above the imports.
Rows are appended to results.md beside this file.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from data import nnunet_crops, peer_plan, volume
from results import append, commit, machine

from pytc_auto.data.folds import Division
from pytc_auto.data.module import ConnectomicsDataModule
from pytc_auto.data.volumes import LabelledVolume, whole_regions
from pytc_auto.geometry import zyx
from pytc_auto.io.volume import ArrayVolume
from pytc_auto.models.build import build_network
from pytc_auto.planning.cost import multiply_adds
from pytc_auto.planning.memory import memory_bytes
from pytc_auto.schema.plan import Plan
from pytc_auto.training import fit as fitting
from pytc_auto.training.memory_probe import peak_bytes

HEADER = (
    "| network | patch, features | who | data | steps/s | data wait | step, s | Mvoxels/s | peak, GB | estimate, GB "
    "| date | commit | machine |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"
)
SECTION = "## Training\n\n"
KINDS = ("unet", "resenc", "mednext")
SIZE = (8.0, 8.0, 8.0)
WARM_UP = 5
PEAK_TFLOPS = {"NVIDIA H100": 989.0, "NVIDIA H200": 989.0, "NVIDIA A100": 312.0}
"""Dense, 16 bit, by the maker."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--patch", default="64,64,64")
    parser.add_argument("--width", type=int, default=16 if not torch.cuda.is_available() else 32)
    parser.add_argument("--batch", type=int, default=1 if not torch.cuda.is_available() else 2)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--on-device", action="store_true")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        print(json.dumps(WHO[arguments.task](arguments)))
        return
    for kind in arguments.kind or KINDS:
        for who in WHO:
            command = [sys.executable, __file__, "--task", who, "--kind", kind, "--patch", arguments.patch]
            command += ["--width", str(arguments.width), "--batch", str(arguments.batch), "--steps", str(arguments.steps)]
            command += ["--workers", str(arguments.workers), *(["--on-device"] if arguments.on_device else [])]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            _append(kind, who, json.loads(done.stdout.splitlines()[-1]), arguments)


def _append(kind: str, who: str, found: dict[str, Any], arguments: argparse.Namespace) -> None:
    rate, patch = found["steps"] / found["seconds"], [int(n) for n in arguments.patch.split(",")]
    row = [kind, f"{'×'.join(map(str, patch))}, {found['features']}", who, "held" if arguments.on_device else "made"]
    row += [f"{rate:.2f}", f"{100 * found['waited'] / found['seconds']:.0f} %", f"{found['step']:.3f}"]
    row += [f"{rate * arguments.batch * np.prod(patch) / 1e6:.2f}", f"{found['peak'] / 1e9:.2f}", found["estimate"]]
    row += [datetime.date.today(), commit(), f"{machine()}{found['device']}"]
    append(f"| {' | '.join(map(str, row))} |\n", section=SECTION, header=HEADER)


def made_plan(arguments: argparse.Namespace) -> Plan:
    """Binary labels, the effects of nnU-Net at its rates, no validation."""
    patch = zyx([int(n) for n in arguments.patch.split(",")])
    steps = arguments.steps + WARM_UP
    more = [f"network.kind={arguments.kind[0]}", f"sampling.batch={arguments.batch}", "sampling.accumulate=1"]
    more += [f"sampling.steps={steps}", f"sampling.validate_every={steps}", "sampling.refit_steps=0", "optimizer.ema=0"]
    plan = peer_plan("fib25", patch, SIZE, binary=True, more=more)
    device: Literal["cpu", "cuda"] = "cuda" if torch.cuda.is_available() else "cpu"
    stages = len(plan.network.features)
    network = plan.network.replace(features=[arguments.width * min(2**i, 8) for i in range(stages)])
    return plan.replace(precision="bf16", network=network, machine=plan.machine.replace(device=device))


class Clock(pl.Callback):
    """When each step began and ended."""

    def __init__(self) -> None:
        self.began: list[float] = []
        self.ended: list[float] = []

    def on_train_batch_start(self, *_: Any) -> None:
        """The batch is there."""
        self.began.append(_now())

    def on_train_batch_end(self, *_: Any) -> None:
        """The weights are changed."""
        self.ended.append(_now())


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def ours(arguments: argparse.Namespace) -> dict[str, Any]:
    plan = made_plan(arguments)
    image, labels = volume(zyx([2 * n for n in plan.patch]), SIZE, plan.patch)
    held = LabelledVolume("a", *(ArrayVolume(a, voxel_size_nm=SIZE, source="a") for a in (image, _binary(labels))))
    data: Any = ConnectomicsDataModule([held], plan, Division(whole_regions([held]), ()), workers=arguments.workers)
    if arguments.on_device:
        batch = next(iter(data.train_dataloader()))
        data.train_dataloader = lambda: _Again(batch, arguments.steps + WARM_UP)
    clock, before = Clock(), peak_bytes()
    callbacks = fitting._callbacks
    fitting._callbacks = lambda *a, **k: [clock, *callbacks(*a, **k)]
    with tempfile.TemporaryDirectory() as folder:
        fitting.fit(plan, build_network(plan), data, Path(folder), validate=None)
    return _found(plan, clock.began, clock.ended, before)


def theirs(arguments: argparse.Namespace) -> dict[str, Any]:
    from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
    from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    plan = made_plan(arguments)
    device = torch.device(plan.machine.device)
    network = build_network(plan).to(device)
    dice = {"batch_dice": False, "smooth": 1e-5, "do_bg": False, "ddp": False}
    loss = DC_and_CE_loss(dice, {}, weight_ce=1, weight_dice=1, dice_class=MemoryEfficientSoftDiceLoss)
    optimizer = torch.optim.SGD(network.parameters(), 1e-2, weight_decay=3e-5, momentum=0.99, nesterov=True)
    scaler = torch.amp.GradScaler("cuda") if device.type == "cuda" else None
    trainer = SimpleNamespace(device=device, network=network, optimizer=optimizer, loss=loss, grad_scaler=scaler)
    began, ended, before = [], [], peak_bytes()
    for batch in _nnunet_batches(plan, arguments):
        began.append(_now())
        nnUNetTrainer.train_step(trainer, batch)
        ended.append(_now())
    return _found(plan, began, ended, before)


def _nnunet_batches(plan: Plan, arguments: argparse.Namespace) -> Iterator[dict[str, torch.Tensor]]:
    image, labels = volume(zyx([2 * n for n in plan.patch]), SIZE, plan.patch)
    make = nnunet_crops(plan.patch, image, _binary(labels) // 255)

    def collate(crops: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        return {"data": torch.stack([c["image"] for c in crops]), "target": torch.stack([c["segmentation"] for c in crops])}

    count = (arguments.steps + WARM_UP) * arguments.batch
    crops: Any = _Made(make, count)
    loader = torch.utils.data.DataLoader(crops, arguments.batch, num_workers=arguments.workers, collate_fn=collate)
    if not arguments.on_device:
        yield from loader
        return
    batch = next(iter(loader))
    for _ in range(arguments.steps + WARM_UP):
        yield batch


class _Again:
    def __init__(self, batch: Any, count: int) -> None:
        self.batch, self.count = batch, count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Any]:
        return iter([self.batch] * self.count)


class _Made:
    def __init__(self, make: Any, count: int) -> None:
        self.make, self.count = make, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Any:
        torch.set_num_threads(1) if torch.utils.data.get_worker_info() else None
        return self.make(number)


def _binary(labels: Any) -> Any:
    return ((labels % 3 == 0) * 255).astype(np.uint8)


def _found(plan: Plan, began: list[float], ended: list[float], before: int) -> dict[str, Any]:
    began, ended = began[WARM_UP:], ended[WARM_UP:]
    cuda = torch.cuda.is_available()
    work = 6 * multiply_adds(plan.network, plan.patch, plan.outputs) * plan.sampling.batch
    step = statistics.median(b - a for a, b in zip(began, ended, strict=True))
    name = torch.cuda.get_device_name() if cuda else ""
    peak = next((t for known, t in PEAK_TFLOPS.items() if name.startswith(known)), None)
    return {
        "steps": len(began),
        "seconds": ended[-1] - began[0],
        "waited": sum(b - a for a, b in zip(ended, began[1:], strict=False)),
        "step": step,
        "peak": torch.cuda.max_memory_reserved() if cuda else peak_bytes() - before,
        "estimate": f"{memory_bytes(plan.network, plan.patch, plan.outputs, plan.sampling.batch) / 1e9:.2f}",
        "features": f"{plan.network.features[0]}–{plan.network.features[-1]}",
        "device": f", {name}, {100 * work / step / 1e12 / peak:.0f} % of its peak" if peak else "",
    }


WHO = {"pytc_auto": ours, "nnU-Net": theirs}

if __name__ == "__main__":
    main()

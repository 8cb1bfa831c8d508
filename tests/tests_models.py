"""Model folders whose networks were never trained, and volumes for them."""

from __future__ import annotations

import h5py
import numpy as np
import torch
from samples import small_plan

from pytc_auto.models.build import build_network
from pytc_auto.models.weights import save_weights
from pytc_auto.schema.model import DecoderChoice

VOXEL_SIZE = (12.0, 9.0, 8.0)
SHAPE = (18, 26, 34)


def write_model(folder, seeds=(0,), *, symmetries=1, block=(16, 16, 16), **fields):
    """A model with a member for each seed."""
    inference = {"overlap": 0.5, "blending": "gaussian", "symmetries": symmetries, "block": block}
    plan = small_plan(**{"voxel_size_nm": VOXEL_SIZE, "inference": inference} | fields)
    folder.mkdir(parents=True)
    plan.save(folder / "plan.yaml")
    DecoderChoice(kind=plan.decoder.kinds[0], parameters={"threshold": 0.9, "foreground_threshold": 0.5}).save(
        folder / "decoder.json"
    )
    for number, seed in enumerate(seeds):
        torch.manual_seed(seed)
        network = build_network(plan)
        with torch.no_grad():
            for tensor in network.parameters():
                tensor.mul_(3)
        save_weights(network, folder / f"fold_{number}.safetensors")
    return folder


def write_volume(path, shape=SHAPE, seed=0, size=VOXEL_SIZE):
    """Smooth noise, as HDF5."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, [-(-n // 3) for n in shape]).astype(np.uint8)
    array = coarse.repeat(3, 0).repeat(3, 1).repeat(3, 2)[tuple(slice(n) for n in shape)]
    with h5py.File(path, "w") as file:
        file.create_dataset("main", data=array).attrs["resolution"] = size
    return path

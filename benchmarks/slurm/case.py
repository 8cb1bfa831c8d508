"""A phantom and a model of a tiny untrained network, to be predicted in several ways: python benchmarks/slurm/case.py FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import torch

from pytc_auto.models.build import build_network
from pytc_auto.models.weights import save_weights
from pytc_auto.phantom import make_phantom
from pytc_auto.planning.by_hand import read_overrides
from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.planner import make_plan
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.model import DecoderChoice

SHAPE = (64, 96, 120)
SIZE = (10.0, 10.0, 10.0)
NETWORK = ["patch=[32,32,32]", "network.kind=unet", "network.features=[4,8]"]
BLOCKS = ["inference.block=[32,32,32]", "inference.symmetries=1", "inference.window=1"]


def main() -> None:
    folder = Path(sys.argv[1])
    (folder / "model").mkdir(parents=True)
    facts = Fingerprint.load(Path(__file__).parents[2] / "fingerprints" / "fib25.json")
    machine = PRESETS["S"].replace(precision="fp32")
    plan = make_plan(facts, machine, by_hand=read_overrides([*NETWORK, *BLOCKS]))
    plan.save(folder / "model" / "plan.yaml")
    parameters = {"threshold": 0.5, "foreground_threshold": 0.0, "min_size": 0.0}
    DecoderChoice(kind="agglomerate", parameters=parameters).save(folder / "model" / "decoder.json")
    torch.manual_seed(0)
    network = build_network(plan)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.mul_(3)
    save_weights(network, folder / "model" / "fold_0.safetensors")
    with h5py.File(folder / "phantom.h5", "w") as file:
        file.create_dataset("main", data=make_phantom(SHAPE, SIZE, seed=0).image_zyx).attrs["resolution"] = SIZE


if __name__ == "__main__":
    main()

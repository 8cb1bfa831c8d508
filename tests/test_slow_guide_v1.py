"""docs/from-v1.md, word by word: its own commands, in a shell, on two small configurations of v1; run by make test-slow."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
import yaml
import zarr
from tests_v1 import filled

from pytc_auto.models.build import build_network
from pytc_auto.phantom import make_phantom
from pytc_auto.pipeline.import_v1 import import_v1
from pytc_auto.schema.plan import Plan

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
GUIDE = (HERE.parent / "docs" / "from-v1.md").read_text(encoding="utf-8")
BLOCKS = [block.splitlines() for block in re.findall(r"```\n(pytc .*?)\n```", GUIDE, flags=re.DOTALL)]
SHIPPED = {
    each["path"]: each["config"]
    for name in ("shipped_configs.json", "more_configs.json")
    for each in json.loads((HERE / "legacy" / name).read_text(encoding="utf-8"))["configs"]
}
SMALL = {
    "MODEL": {"INPUT_SIZE": [9, 33, 33], "OUTPUT_SIZE": [9, 33, 33], "FILTERS": [8, 8, 16, 16, 16]},
    "DATASET": {"PAD_SIZE": [2, 4, 4]},
    "SOLVER": {"ITERATION_TOTAL": 4, "ITERATION_VAL": 2},
    "INFERENCE": {"INPUT_SIZE": [9, 33, 33], "OUTPUT_SIZE": [9, 33, 33], "PAD_SIZE": [2, 4, 4], "STRIDE": [4, 24, 24]},
}


def put(folder, path, array):
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(folder / path, array)


def small(path):
    """A shipped configuration of which only what takes time is smaller."""
    config = SHIPPED[path]
    return {section: {**config.get(section, {}), **SMALL.get(section, {})} for section in {**config, **SMALL}}


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """The folder of a user of v1: configurations, data and a checkpoint."""
    folder = tmp_path_factory.mktemp("old")
    for path in ("SNEMI/SNEMI-Base.yaml", "Lucchi-Mitochondria.yaml"):
        (folder / "configs" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "configs" / path).write_text(yaml.safe_dump(small(path)))
    (folder / "configs/SNEMI/SNEMI-Affinity-UNet.yaml").write_text(yaml.safe_dump(SHIPPED["SNEMI/SNEMI-Affinity-UNet.yaml"]))
    snemi = ("datasets/SNEMI3D/image/train-input", "datasets/SNEMI3D/seg/train-labels")
    for names, seed in ((snemi, 3), (("test-input", "test-labels"), 4)):
        tissue = make_phantom((16, 60, 72), (30.0, 6.0, 6.0), seed=seed)
        put(folder, f"{names[0]}.tif", tissue.image_zyx.astype(np.uint8))
        put(folder, f"{names[1]}.tif", tissue.neurons_zyx.astype(np.uint16))
    for part, seed in (("train", 1), ("test", 5)):
        tissue = make_phantom((36, 40, 72), (5.0, 5.0, 5.0), seed=seed)
        put(folder, f"datasets/Lucchi/img/{part}_im.tif", tissue.image_zyx.astype(np.uint8))
        put(folder, f"datasets/Lucchi/label/{part}_label.tif", (tissue.neurons_zyx % 3 == 1).astype(np.uint8) * 255)
    plan = import_v1(
        folder / "configs/SNEMI/SNEMI-Affinity-UNet.yaml", base=folder / "configs/SNEMI/SNEMI-Base.yaml", out=folder / "apart"
    ).plan
    state = {"iteration": 150000, "state_dict": filled(build_network(plan)), "optimizer": {}, "lr_scheduler": {}}
    torch.save(state, folder / "checkpoint_150000.pth.tar")
    return folder


def typed(folder, line):
    """What a shell makes of a line of the guide."""
    program = f"{shlex.quote(sys.executable)} -c 'from pytc_auto.cli import main; main()'"
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "COLUMNS": "150"}
    shell = ["/bin/sh", "-c", line.replace("pytc", program, 1)]
    return subprocess.run(shell, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def follow(folder, lines):
    """All lines of a block, one after the other; what each said."""
    said = []
    for line in lines:
        done = typed(folder, line)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        said.append(done.stdout + done.stderr)
    return said


def test_the_guide_has_three_ways_and_they_are_of_two_configurations():
    assert [len(block) for block in BLOCKS] == [3, 3, 4]
    words = [word for block in BLOCKS for line in block for word in line.split()]
    configs = {word for word in words if word.startswith("configs/")}
    assert len(configs) == 3


def test_a_checkpoint_is_imported_predicts_and_is_scored_and_training_goes_on(old):
    imported, _, scored = follow(old, BLOCKS[0])
    assert "Next: pytc predict VOLUME --model runs/snemi/model -o OUT" in imported
    assert Plan.load(old / "runs/snemi/plan.yaml").why["network"].rule == "v1"
    raw = tifffile.imread(old / "test-input.tif")
    assert zarr.open(str(old / "out/0"), mode="r").shape == (3, *raw.shape)
    assert "adapted" in scored.lower() or "voi" in scored.lower()
    follow(old, BLOCKS[1])
    assert (old / "runs/snemi-on/model/fold_0.safetensors").is_file()
    assert (old / "runs/snemi/model/fold_0.safetensors").is_file()


def test_an_old_configuration_is_trained_anew(old):
    *_, scored = follow(old, BLOCKS[2])
    assert (old / "out-lucchi/labels/segmentation").is_dir()
    assert scored.strip()


def test_mistakes_that_a_newcomer_makes_are_told_in_a_sentence(old):
    first = BLOCKS[0][0]
    without_base = re.sub(r"--base \S+ ", "", first).replace("runs/snemi", "runs/none")
    for line, told in (
        (without_base, "give the --base that went with it"),
        (first.replace("SNEMI-Base", "SNEMI-Bace"), "SNEMI-Bace.yaml: cannot be read"),
        (first.replace("checkpoint_150000", "checkpoint_15000"), "checkpoint_15000.pth.tar: is missing"),
        (f"{BLOCKS[2][0]} SOLVER.ITERATION_TOTAL", "Override list has odd length"),
        (f"{BLOCKS[2][0]} SOLVER.ITERATIONS 5", "Non-existent key: SOLVER.ITERATIONS"),
    ):
        done = typed(old, line.replace("-o runs/", "-o runs/mistake-"))
        said = " ".join((done.stdout + done.stderr).split())
        assert done.returncode != 0, line
        assert told in said, said
        assert "Traceback" not in said
    assert not list((old / "runs").glob("mistake-*"))

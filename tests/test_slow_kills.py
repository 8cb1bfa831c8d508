"""What a machine that is switched off and a browser do to us; run by make test-slow."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest
import zarr
from safetensors.numpy import load_file
from tests_pipeline import write

import pytc_auto
from pytc_auto.schema.plan import Plan

pytestmark = pytest.mark.slow
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


def start(*arguments):
    command = [sys.executable, "-c", "from pytc_auto.cli import main; main()", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def killed(process, when):
    """Kill it without a word once the condition holds."""
    deadline = time.monotonic() + 120
    while not when():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of the same plan, one of them trained."""
    folder = tmp_path_factory.mktemp("kills")
    write(folder / "train", "tissue", (40, 48, 64), 1)
    write(folder / "test", "unseen", (48, 64, 80), 2)
    few = ["patch=[16,16,16]", "network.features=[4,8]", "sampling.steps=60", "sampling.validate_every=10", "inference.window=1"]
    for name in ("whole", "cut"):
        pytc_auto.plan(folder / "train", few, name=name, runs=folder, size="S")
        plan = Plan.load(folder / name / "plan.yaml")
        plan.replace(precision="fp32", inference=plan.inference.replace(block=(16, 16, 16))).save(folder / name / "plan.yaml")
    assert start("train", "whole", "--runs", folder).wait() == 0
    return folder


def test_a_training_that_is_killed_twice_ends_as_an_undisturbed_one(runs):
    fold = runs / "cut" / "folds" / "0"
    killed(start("train", "cut", "--runs", runs), lambda: any(fold.rglob("*.ckpt")))
    seen = {path: path.stat().st_mtime_ns for path in fold.rglob("*.ckpt")}
    killed(start("train", "cut", "--runs", runs), lambda: {p: p.stat().st_mtime_ns for p in fold.rglob("*.ckpt")} != seen)
    assert not (runs / "cut" / "model").exists()
    assert start("train", "cut", "--runs", runs).wait() == 0
    one, two = (load_file(runs / name / "model" / "fold_0.safetensors") for name in ("whole", "cut"))
    assert one.keys() == two.keys()
    assert all((one[key] == two[key]).all() for key in one)


def processes(group):
    """Those that live in a group, zombies aside."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,pid="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return [int(pid) for of, state, pid in rows if int(of) == group and not state.startswith("Z")]


def started_in_a_group(runs, name):
    """A training with workers in a group of its own, once it has a checkpoint."""
    shutil.rmtree(runs / name, ignore_errors=True)
    shutil.copytree(runs / "whole", runs / name, ignore=shutil.ignore_patterns("folds", "model"))
    command = [sys.executable, "-c", "from pytc_auto.cli import main; main()", "train", name, "--runs", str(runs)]
    told = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen(command, start_new_session=True, **told)
    deadline = time.monotonic() + 120
    while not any((runs / name / "folds").rglob("*.ckpt")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(processes(process.pid)) > 1, "no workers"
    return process


def test_sigterm_to_all_processes_of_a_training_ends_it_with_a_checkpoint(runs):
    """As timeout sends it."""
    process = started_in_a_group(runs, "ended")
    os.killpg(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Stopped by SIGTERM at step" in output
    assert "Traceback" not in output
    assert not processes(process.pid)


def test_no_worker_outlives_a_training_that_is_killed(runs):
    process = started_in_a_group(runs, "orphans")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)  # its workers write to the same pipe
    deadline = time.monotonic() + 60
    while processes(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_prediction_that_is_killed_ends_as_an_undisturbed_one(runs, tmp_path):
    command = ("predict", runs / "test/images/unseen.h5", "--model", runs / "whole/model", "--keep-predictions", "-o")
    assert start(*command, tmp_path / "whole").wait() == 0
    killed(start(*command, tmp_path / "cut"), lambda: len(list((tmp_path / "cut").rglob("*"))) > 20)
    assert not list((tmp_path / "cut" / ".pytc").glob("preview.png"))
    assert start(*command, tmp_path / "cut").wait() == 0
    for array in ("0", "labels/segmentation/0"):
        one, two = (zarr.open_array(tmp_path / name / array, mode="r")[:] for name in ("whole", "cut"))
        assert one.any()
        np.testing.assert_array_equal(one, two)


@pytest.mark.skipif(BROWSER is None, reason="no browser")
@pytest.mark.parametrize("width", [390, 1200])
def test_the_report_fits_the_window(runs, tmp_path, width):
    script = (
        "onload = () => { const page = document.querySelector('iframe').contentDocument; const root = page.documentElement;"
        " const images = [...page.images], broken = images.filter(i => !i.naturalWidth), drawn = page.querySelectorAll('svg');"
        " document.title = [root.scrollWidth, root.clientWidth, images.length, broken.length, drawn.length] }"
    )
    frame = f'<iframe src="{(runs / "whole" / "report.html").as_uri()}" width="{width}" height="900" style="border:0"></iframe>'
    (tmp_path / "frame.html").write_text(f"<!doctype html><title></title><script>{script}</script>{frame}")
    with tempfile.TemporaryDirectory() as profile:
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--allow-file-access-from-files",
        ]
        command = [BROWSER, *flags, f"--user-data-dir={profile}", "--virtual-time-budget=5000", "--dump-dom"]
        page = (tmp_path / "frame.html").as_uri()
        dom = subprocess.run([*command, page], capture_output=True, text=True, timeout=60, check=True).stdout
    wide, room, images, broken, drawings = map(int, dom.split("<title>")[1].split("</title>")[0].split(","))
    assert room <= width
    assert wide <= room
    assert images >= 2
    assert broken == 0
    assert drawings >= 4

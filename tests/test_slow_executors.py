"""Predictions of several processes, one of which is killed; run by make test-slow."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import zarr
from tests_models import write_model, write_volume

from pytc_auto.errors import OutputError
from pytc_auto.executors.executor import Executor
from pytc_auto.executors.ledger import BlockLedger, block_name
from pytc_auto.executors.presence import read_worker
from pytc_auto.geometry import Box, blocks
from pytc_auto.pipeline.status import status

pytestmark = pytest.mark.slow
SHAPE = (30, 44, 60)
BLOCKS = 2 * 3 * 4
OWN = re.compile(rb'"(command|date|name)": "[^"]*"')


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Arguments of pytc predict, and the folder in which ``whole`` is what one undisturbed process makes."""
    folder = tmp_path_factory.mktemp("executors")
    model, volume = write_model(folder / "model", symmetries=4), write_volume(folder / "cell.h5", SHAPE)
    arguments = ["predict", str(volume), "--model", str(model), "--keep-predictions"]
    told(start(*arguments, "-o", folder / "whole"))
    assert zarr.open_array(folder / "whole/0", mode="r")[:].std() > 1
    return folder, arguments


def start(*arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", "from pytc_auto.cli import main; main()", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def told(process, code=0):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == code, output
    return output


def until(found, process=None):
    """Wait for what is not false."""
    deadline = time.monotonic() + 120
    while not (value := found()):
        assert process is None or process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return value


def files(out):
    """Every file of the result, without its name and without what tells how and when it was made."""
    found = {path.relative_to(out): OWN.sub(b"", path.read_bytes()) for path in sorted(out.rglob("*")) if path.is_file()}
    return {path: data for path, data in found.items() if path.parts[0] != ".pytc"}


def same(folder, out):
    one, two = files(folder / "whole"), files(folder / out)
    assert one.keys() == two.keys()
    assert [path for path in one if one[path] != two[path]] == []


def worker_of(out, *others):
    """Number of a process that is at a block; the others have been seen."""
    for path in (out / ".pytc/predict/running").glob("*-*_*"):
        worker = read_worker(path)
        if worker is not None and worker.pid not in others and not worker.ended(path):
            return worker.pid
    return None


def stopped_at_a_block(out, process):
    """Have a process stand still while it is at a block."""

    def stopped():
        if worker_of(out) == process.pid:
            process.send_signal(signal.SIGSTOP)
            if worker_of(out):
                return True
            process.send_signal(signal.SIGCONT)
        return False

    until(stopped, process)


def test_a_worker_that_is_killed_changes_nothing(given):
    folder, arguments = given
    process = start(*arguments, "-o", folder / "killed", "--workers", "2")
    seen = [process.pid]
    # blocks that are lost before any is done are at once tried again, alone: a second kill would be their second fault
    until(lambda: any((folder / "killed/.pytc/predict").glob("*-*_*")), process)
    for _ in range(2):
        seen.append(until(lambda: worker_of(folder / "killed", *seen), process))
        os.kill(seen[-1], signal.SIGKILL)
    output = told(process)
    assert "done" in output
    same(folder, "killed")
    assert not (folder / "killed/.pytc/predict").exists()


def test_two_shards_at_once_make_what_one_process_makes(given):
    folder, arguments = given
    processes = [start(*arguments, "-o", folder / "shards", "--shard", f"{i}/2") for i in range(2)]
    outputs = [told(process) for process in processes]
    same(folder, "shards")
    assert sum("not all" not in output for output in outputs) >= 1
    (found,) = status(folder / "shards")
    assert found.finished
    assert "done before" in told(start(*arguments, "-o", folder / "shards", "--shard", "0/2"))


def test_the_shard_that_comes_last_decodes_and_one_that_was_killed_is_run_again(given):
    folder, arguments = given
    out = folder / "late"
    first = told(start(*arguments, "-o", out, "--shard", "0/2"))
    assert f"{BLOCKS // 2} of {BLOCKS} blocks are left to other shards" in first
    second = start(*arguments, "-o", out, "--shard", "1/2")
    stopped_at_a_block(out, second)
    (stage,) = status(out)[0].stages
    assert (stage.blocks, stage.failed) == (BLOCKS, {})
    assert stage.done >= BLOCKS // 2
    second.send_signal(signal.SIGKILL)
    told(second, -signal.SIGKILL)
    (stage,) = status(out)[0].stages
    assert {worker.pid for worker in stage.ended.values()} == {second.pid}
    assert stage.running == {}
    told(start(*arguments, "-o", out, "--shard", "1/2"))
    same(folder, "late")


def test_a_decoding_that_was_killed_is_taken_up_again(given):
    folder, arguments = given
    out = folder / "decoding"
    process = start(*arguments, "-o", out)
    until(lambda: list((out / ".pytc/claims").glob("decode.*")), process)
    process.send_signal(signal.SIGKILL)
    told(process, -signal.SIGKILL)
    assert not status(out)[0].finished
    told(start(*arguments, "-o", out, "--shard", "2/3"))
    same(folder, "decoding")


def test_the_same_command_twice_at_once_is_done_once(given):
    folder, arguments = given
    processes = [start(*arguments, "-o", folder / "twice") for _ in range(2)]
    states = [told(process) for process in processes]
    assert all("done" in state for state in states)
    same(folder, "twice")


def test_dask_makes_what_one_process_makes(given):
    pytest.importorskip("distributed")
    folder, arguments = given
    process = start(*arguments, "-o", folder / "dask", "--dask", "local", "--workers", "2")
    os.kill(until(lambda: worker_of(folder / "dask", process.pid), process), signal.SIGKILL)
    told(process)
    same(folder, "dask")


class Poison:
    """Kills its process at one block, and writes the others."""

    def __init__(self, folder, bad):
        self.folder, self.bad = folder, bad

    def __call__(self, box):
        if box == self.bad:
            os.kill(os.getpid(), signal.SIGKILL)
        (self.folder / block_name(box)).write_text(str(box))


@pytest.mark.parametrize("dask", [None, "local"])
def test_a_block_that_kills_its_process_is_in_quarantine_and_no_other_is(tmp_path, dask):
    if dask:
        pytest.importorskip("distributed")
    boxes = list(blocks(Box.of_shape((4, 6, 10)), (2, 2, 5)))
    ledger = BlockLedger(tmp_path / "state", "a")
    executor = Executor(({"OMP_NUM_THREADS": "1"}, {"OMP_NUM_THREADS": "1"}), dask=dask)
    with pytest.raises(OutputError, match=r"1 of 12 blocks failed twice:\nblock .*: its process ended without a word"):
        executor.run(Poison(tmp_path, boxes[5]), boxes, ledger)
    assert ledger.left(boxes) == [boxes[5]]
    assert sorted(path.name for path in (tmp_path / "state/failed").iterdir()) == [block_name(boxes[5])]
    np.testing.assert_equal(len(list(tmp_path.glob("*-*_*"))), 11)


class Telling:
    """Writes which process does a block."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, box):
        time.sleep(0.1)
        (self.folder / block_name(box)).write_text(str(os.getpid()))


def test_processes_stay_for_the_stages_of_a_context_and_no_longer(tmp_path):
    boxes = list(blocks(Box.of_shape((4, 6, 10)), (2, 2, 5)))
    executor = Executor(({"OMP_NUM_THREADS": "1"}, {"OMP_NUM_THREADS": "1"}))

    def pids(used, stage):
        (tmp_path / stage).mkdir()
        used.run(Telling(tmp_path / stage), boxes, BlockLedger(tmp_path / "state" / stage, "a"))
        return {int(path.read_text()) for path in (tmp_path / stage).iterdir()}

    with executor.staying() as staying:
        first = pids(staying, "first")
        assert pids(staying, "second") == first != {os.getpid()}
        with pytest.raises(OutputError, match="1 of 12 blocks failed twice"):
            staying.run(Poison(tmp_path, boxes[5]), boxes, BlockLedger(tmp_path / "state" / "poison", "a"))
        third = pids(staying, "third")
        assert not third & first
    assert not pids(executor, "fourth") & third
    for pid in first | third:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

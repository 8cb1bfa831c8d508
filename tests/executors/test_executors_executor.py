from __future__ import annotations

import errno
import os
from itertools import pairwise

import pytest

from pytc_auto.errors import DataError, OutputError
from pytc_auto.executors import executor as module
from pytc_auto.executors.executor import Executor
from pytc_auto.executors.ledger import BlockLedger, block_name
from pytc_auto.executors.shard import Shard
from pytc_auto.executors.task import StagedTask
from pytc_auto.geometry import Box, blocks

BOXES = list(blocks(Box.of_shape((10, 12, 7)), (5, 4, 7)))


class Writing:
    """Writes a file for each block; some fail, at some attempts."""

    def __init__(self, folder, faults=None):
        self.folder, self.faults, self.seen = folder, faults or {}, []

    def __call__(self, box):
        self.seen.append(box)
        faults = self.faults.get(box, [])
        if faults and (fault := faults.pop(0)):
            raise fault
        (self.folder / block_name(box)).write_text(str(box))


class Staged(StagedTask):
    """The same in three parts; tells in which order they happen."""

    def __init__(self, folder, faults=None):
        self.folder, self.faults, self.order = folder, faults or {}, []

    def _do(self, part, box):
        self.order.append((part, box))
        if self.faults.get((part, box)):
            raise self.faults[part, box].pop(0)

    def read(self, box):
        self._do("read", box)
        return box

    def compute(self, found, share):
        share(0.5)
        self._do("compute", found)
        return str(found)

    def write(self, box, made):
        self._do("write", box)
        (self.folder / block_name(box)).write_text(made)


@pytest.fixture
def ledger(tmp_path):
    return BlockLedger(tmp_path / "state" / "stage", "a")


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.parametrize("kind", [Writing, Staged])
def test_every_block_is_done_once_and_marked(ledger, out, kind):
    seen, task = [], kind(out)
    Executor().run(task, BOXES, ledger, seen.append)
    assert sorted(path.name for path in out.iterdir()) == sorted(map(block_name, BOXES))
    assert ledger.left(BOXES) == []
    assert (ledger.folder / "blocks").read_text() == str(len(BOXES)) == "6"
    assert not list((ledger.folder / "running").iterdir())
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 10 * 12 * 7)
    again, seen = kind(out), []
    Executor().run(again, BOXES, ledger, seen.append)
    assert getattr(again, "seen", []) == getattr(again, "order", []) == []
    assert seen == [840]


def test_the_parts_of_neighbors_overlap_and_only_those(ledger, out):
    task = Staged(out)
    Executor().run(task, BOXES, ledger)
    at = {done: number for number, done in enumerate(task.order)}
    assert len(at) == 3 * len(BOXES)
    for first, second in pairwise(BOXES):
        assert at["read", first] < at["compute", first] < at["write", first]
        assert at["compute", first] < at["compute", second]
    for first, third in zip(BOXES, BOXES[2:], strict=False):
        assert at["compute", first] < at["read", third], "more than one block is read ahead"
        assert at["write", first] < at["compute", third], "more than one block waits to be written"


@pytest.mark.parametrize("kind", [Writing, Staged])
def test_a_block_that_fails_once_is_tried_again_after_the_others(ledger, out, kind):
    keys = {Writing: BOXES[1], Staged: ("compute", BOXES[1])}
    task = kind(out, {keys[kind]: [ValueError("bad luck")]})
    Executor().run(task, BOXES, ledger)
    assert ledger.left(BOXES) == []
    assert len(list(out.iterdir())) == len(BOXES)
    assert not (ledger.folder / "failed").exists()
    order = task.seen if kind is Writing else [box for part, box in task.order if part == "compute"]
    assert order == [*BOXES, BOXES[1]]


@pytest.mark.parametrize("part", ["read", "compute", "write"])
def test_a_block_that_fails_twice_is_in_quarantine_and_the_others_are_done(ledger, out, part):
    bad = BOXES[2]
    task = Staged(out, {(part, bad): [DataError("first"), DataError("slice 7 is damaged\nand more")]})
    told = r"^1 of 6 blocks failed twice:\nblock \[0:5, 8:12, 0:7\]: DataError: slice 7 is damaged\nFinished blocks are kept\."
    with pytest.raises(OutputError, match=told):
        Executor().run(task, BOXES, ledger)
    assert ledger.left(BOXES) == [bad]
    kept = (ledger.folder / "failed" / block_name(bad)).read_text()
    assert kept.startswith("DataError: slice 7 is damaged\n")
    assert "Traceback" in kept
    assert "self._do(" in kept
    assert not list((ledger.folder / "running").iterdir())
    Executor().run(Staged(out), BOXES, ledger)
    assert ledger.left(BOXES) == []
    assert not list((ledger.folder / "failed").iterdir())


@pytest.mark.parametrize("kind", [Writing, Staged])
@pytest.mark.parametrize(
    "error", [OutputError("no room"), OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EROFS, "Read-only")]
)
def test_a_full_disk_ends_the_job_at_once(ledger, out, kind, error):
    keys = {Writing: BOXES[1], Staged: ("write", BOXES[1])}
    task = kind(out, {keys[kind]: [error]})
    with pytest.raises(type(error), match=error.args[-1]):
        Executor().run(task, BOXES, ledger)
    assert BOXES[0] not in ledger.left(BOXES)
    assert len(ledger.left(BOXES)) >= 3
    assert not (ledger.folder / "failed").exists()
    assert not list((ledger.folder / "running").iterdir())


def test_where_everything_fails_not_everything_is_tried(ledger, out, monkeypatch):
    monkeypatch.setattr(module, "HOPELESS", 3)
    task = Writing(out, {box: [ValueError("a"), ValueError("b")] for box in BOXES})
    with pytest.raises(OutputError, match="3 of 6 blocks failed twice"):
        Executor().run(task, BOXES, ledger)
    assert task.seen == [*BOXES[:3], *BOXES[:3]]
    lucky = Writing(out, {box: [ValueError("a")] for box in BOXES})
    Executor().run(lucky, BOXES, BlockLedger(out.parent / "lucky", "a"))
    assert len(lucky.seen) == 2 * len(BOXES)
    mixed = Writing(out, {box: [ValueError("a"), ValueError("b")] for box in BOXES[1:]})
    with pytest.raises(OutputError, match="5 of 6 blocks failed twice"):
        Executor().run(mixed, BOXES, ledger)


def test_an_interruption_leaves_no_mark(ledger, out):
    task = Staged(out, {("compute", BOXES[1]): [KeyboardInterrupt()]})
    with pytest.raises(KeyboardInterrupt):
        Executor().run(task, BOXES, ledger)
    assert not (ledger.folder / block_name(BOXES[1])).exists()
    assert not list((ledger.folder / "running").iterdir())


def test_shards_have_every_block_once_and_say_how_many_there_are(ledger, out):
    parts = [Shard(i, 4).of(BOXES) for i in range(4)]
    assert sorted(box for part in parts for box in part) == sorted(BOXES)
    assert [len(part) for part in parts] == [2, 2, 1, 1]
    task, seen = Writing(out), []
    Executor(shard=Shard(1, 4)).run(task, BOXES, ledger, seen.append)
    assert task.seen == [BOXES[1], BOXES[5]]
    assert seen[-1] == BOXES[1].size + BOXES[5].size
    assert ledger.left(BOXES) == [box for i, box in enumerate(BOXES) if i % 4 != 1]
    assert (ledger.folder / "blocks").read_text() == "6"
    with pytest.raises(ValueError, match="one of 0 to 3, got 4"):
        Shard(4, 4)


def test_running_means_that_a_process_is_at_it(ledger, out):
    class Looking(Writing):
        def __call__(self, box):
            (path,) = (ledger.folder / "running").iterdir()
            assert path.name == block_name(box)
            assert f'"pid": {os.getpid()}' in path.read_text()
            super().__call__(box)

    Executor().run(Looking(out), BOXES, ledger)
    assert ledger.left(BOXES) == []

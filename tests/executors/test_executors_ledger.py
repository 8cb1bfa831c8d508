from __future__ import annotations

import pickle
import threading

import pytest

from pytc_auto.errors import OutputError
from pytc_auto.executors.ledger import BlockLedger, block_name
from pytc_auto.geometry import Box

ONE, OTHER = Box((0, 1, 2), (3, 4, 5)), Box((0, 1, 2), (3, 4, 6))


def test_it_remembers(tmp_path):
    ledger = BlockLedger(tmp_path / "out" / "stage", "a")
    assert not ledger.is_done(ONE)
    ledger.mark(ONE)
    again = pickle.loads(pickle.dumps(BlockLedger(tmp_path / "out" / "stage", "a")))
    assert again.is_done(ONE)
    assert again.left([OTHER, ONE]) == [OTHER]
    assert not list(ledger.folder.glob("*.part"))


def test_that_of_another_job_is_refused(tmp_path):
    BlockLedger(tmp_path, "a")
    with pytest.raises(OutputError, match=r"was made by another job .* Choose another output, or delete"):
        BlockLedger(tmp_path, "b")


def test_a_mark_is_of_its_job_and_block_and_whole(tmp_path):
    ledger, other = BlockLedger(tmp_path / "a", "a"), BlockLedger(tmp_path / "b", "b")
    for each in (ledger, other):
        each.mark(ONE)
    marks = [(each.folder / block_name(ONE)).read_text() for each in (ledger, other)]
    assert marks[0] != marks[1]
    for wrong in (marks[1], marks[0][:-1], ""):
        (ledger.folder / block_name(ONE)).write_text(wrong)
        assert not ledger.is_done(ONE)
    (ledger.folder / block_name(OTHER)).write_text(marks[0])
    assert not ledger.is_done(OTHER)


def test_of_many_that_begin_at_once_one_has_the_folder(tmp_path):
    told, start = [], threading.Barrier(8)

    def begin(number):
        start.wait()
        try:
            BlockLedger(tmp_path / "stage", f"job {number % 2}" * 1000)
            told.append("mine")
        except OutputError:
            told.append("refused")

    threads = [threading.Thread(target=begin, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["mine"] * 4 + ["refused"] * 4
    assert [path.name for path in (tmp_path / "stage").iterdir()] == ["job"]


def test_one_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="list of finished blocks cannot be used"):
        BlockLedger(tmp_path / "file" / "done", "a")
    ledger = BlockLedger(tmp_path / "done", "a")
    marker = ledger.folder / block_name(ONE)
    marker.mkdir()
    (marker / "in the way").write_text("")
    for use in (ledger.is_done, ledger.mark):
        with pytest.raises(OutputError, match="cannot be used"):
            use(ONE)
    (ledger.folder / "failed").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be used"):
        ledger.quarantine(ONE, "why")
    (ledger.folder / "blocks").mkdir()
    with pytest.raises(OutputError, match="cannot be used"):
        ledger.expect(3)

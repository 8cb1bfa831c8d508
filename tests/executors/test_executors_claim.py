from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from pytc_auto.executors import claim as module
from pytc_auto.executors import presence
from pytc_auto.executors.claim import claimed
from pytc_auto.executors.presence import Presence, Worker, read_worker


@pytest.fixture
def path(tmp_path):
    return tmp_path / "claims" / "decode"


def left_behind(path, **told):
    """The file of a process that is no more."""
    path.parent.mkdir(parents=True, exist_ok=True)
    worker = {"host": socket.gethostname(), "pid": 2**22 + 1, "born": 5, "since": 0.0}
    path.write_text(json.dumps(worker | told))


def test_one_has_it_and_gives_it_back(path):
    with claimed(path) as first:
        assert first is None
        with claimed(path) as second:
            assert (second.pid, second.host) == (os.getpid(), socket.gethostname())
            assert str(second).startswith(f"process {os.getpid()} on {socket.gethostname()} (since 20")
    with claimed(path) as third:
        assert third is None


def test_it_is_given_back_after_an_error(path):
    with pytest.raises(ValueError, match="bad"), claimed(path):
        raise ValueError("bad")
    with claimed(path) as other:
        assert other is None


@pytest.mark.parametrize("told", [{}, {"pid": os.getpid(), "born": 1}])
def test_that_of_a_process_that_is_no_more_is_taken_over(path, told):
    left_behind(path.with_name("decode.0"), **told)
    with claimed(path) as other:
        assert other is None
        with claimed(path) as second:
            assert second.pid == os.getpid()


def test_on_another_machine_silence_tells(path):
    file = path.with_name("decode.0")
    left_behind(file, host="elsewhere")
    with claimed(path) as other:
        assert (other.host, other.pid) == ("elsewhere", 2**22 + 1)
    long_ago = time.time() - presence.SILENT_SECONDS - 1
    os.utime(file, (long_ago, long_ago))
    with claimed(path) as other:
        assert other is None


def test_a_living_process_is_heard(path, monkeypatch):
    monkeypatch.setattr(presence, "BEAT_SECONDS", 0.01)
    file = path.with_name("decode.0")
    with claimed(path):
        os.utime(file, (0, 0))
        deadline = time.monotonic() + 10
        while file.stat().st_mtime < 1:
            assert time.monotonic() < deadline
    assert read_worker(file) is None


def test_a_beat_that_is_missed_is_not_the_last(path, monkeypatch):
    """A file server may be busy; the next beat is heard, until the file is gone."""
    monkeypatch.setattr(presence, "BEAT_SECONDS", 0.01)
    beats, utime = [], os.utime

    def busy(file, *given):
        beats.append(file)
        if len(beats) < 3:
            raise OSError(errno.ESTALE, "Stale file handle")
        utime(file, *given)

    monkeypatch.setattr(presence.os, "utime", busy)
    file = path.with_name("decode.0")
    with claimed(path):
        utime(file, (0, 0))
        deadline = time.monotonic() + 10
        while file.stat().st_mtime < 1:
            assert time.monotonic() < deadline
        file.unlink()
        while "presence" in {thread.name for thread in threading.enumerate()}:
            assert time.monotonic() < deadline
    assert len(beats) >= 3


def test_of_many_that_try_at_once_one_has_it(path):
    left_behind(path.with_name("decode.0"))
    had, start, end = [], threading.Barrier(8), threading.Barrier(8)

    def attempt():
        start.wait()
        with claimed(path) as other:
            had.append(other is None)
            end.wait()

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(had) == [False] * 7 + [True]


def test_waiting_ends_when_it_is_free(path, monkeypatch):
    monkeypatch.setattr(module, "POLL_SECONDS", 0.001)
    order, inside, waits = [], threading.Event(), threading.Event()

    def waiting(other):
        assert other.pid == os.getpid()
        waits.set()

    def second():
        inside.wait()
        with claimed(path, waiting=waiting) as other:
            order.append(("second", other))

    thread = threading.Thread(target=second)
    thread.start()
    with claimed(path):
        inside.set()
        assert waits.wait(10)
        order.append("first")
    thread.join()
    assert order == ["first", ("second", None)]


def test_a_killed_process_has_ended_before_its_parent_knows(tmp_path):
    code = (
        "import sys; from pathlib import Path; from pytc_auto.executors.presence import Presence\n"
        "Presence(Path(sys.argv[1])).begin(); print('here', flush=True); sys.stdin.read()"
    )
    file = tmp_path / "file"
    command = [sys.executable, "-c", code, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "here\n"
        worker = read_worker(file)
        assert worker.pid == process.pid
        assert not worker.ended(file)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert worker.ended(file)


def test_what_is_no_such_file_is_nobody(tmp_path):
    for text in ("", "{}", "[1]", '{"host": 1, "pid": "x", "born": 0, "since": 0}'):
        (tmp_path / "file").write_text(text)
        assert read_worker(tmp_path / "file") is None
    assert read_worker(tmp_path / "nothing") is None
    assert Worker.this().ended(tmp_path / "nothing")
    held = Presence(tmp_path / "mine")
    assert held.begin(only_if_absent=True)
    assert not Presence(tmp_path / "mine").begin(only_if_absent=True)
    held.end()
    assert not (tmp_path / "mine").exists()

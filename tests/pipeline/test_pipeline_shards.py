from __future__ import annotations

import json
import os
import socket
import threading

import numpy as np
import pytest
import zarr
from tests_models import write_model, write_volume

import pytc_auto
from pytc_auto.cli import main
from pytc_auto.errors import OutputError
from pytc_auto.executors import claim
from pytc_auto.executors.shard import Shard
from pytc_auto.geometry import Box, blocks
from pytc_auto.inference.blocks import BlockPrediction
from pytc_auto.pipeline import segment
from pytc_auto.pipeline.status import status
from pytc_auto.pipeline.workers import make_executor, worker_environments


@pytest.fixture
def given(tmp_path):
    model, volume = write_model(tmp_path / "model"), write_volume(tmp_path / "cell.h5")
    return {"volumes": [volume], "model": model, "keep_predictions": True}


def shard(given, out, index, count, outcomes=None):
    executor = make_executor(shard=Shard(index, count))
    pytc_auto.predict(**given, out=out, executor=executor, told=lambda o: outcomes is None or outcomes.append(o))


def results(out):
    return zarr.open_array(out / "0", mode="r")[:], zarr.open_array(out / "labels/segmentation/0", mode="r")[:]


def same(one, two):
    for a, b in zip(results(one), results(two), strict=True):
        assert a.std() > 0
        np.testing.assert_array_equal(a, b)


def test_the_last_shard_decodes(tmp_path, given):
    pytc_auto.predict(**given, out=tmp_path / "whole")
    outcomes = []
    for index in (2, 0, 1):
        shard(given, tmp_path / "o", index, 3, outcomes)
    shard(given, tmp_path / "o", 0, 3, outcomes)
    assert [outcome.state for outcome in outcomes] == ["not all", "not all", "done", "done before"]
    assert outcomes[0].left == "8 of 12 blocks are left to other shards; the last one decodes"
    assert outcomes[1].left.startswith("4 of 12 blocks")
    assert [outcome.left for outcome in outcomes[2:]] == ["", ""]
    same(tmp_path / "whole", tmp_path / "o")


def test_shards_that_begin_at_once_make_one_output(tmp_path, given, monkeypatch):
    monkeypatch.setattr(claim, "POLL_SECONDS", 0.001)
    pytc_auto.predict(**given, out=tmp_path / "whole")
    outcomes, faults, together = [], [], threading.Barrier(4)

    def run(index):
        together.wait()
        try:
            shard(given, tmp_path / "o", index, 4, outcomes)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert sum(outcome.state == "done" for outcome in outcomes) >= 1
    same(tmp_path / "whole", tmp_path / "o")


def test_of_two_that_could_decode_one_does(tmp_path, given):
    path = tmp_path / "o" / ".pytc" / "claims" / "decode.0"
    shard(given, tmp_path / "o", 0, 2)
    path.write_text(json.dumps({"host": "elsewhere", "pid": 7, "born": 1, "since": 0.0}))
    outcomes = []
    shard(given, tmp_path / "o", 1, 2, outcomes)
    assert outcomes[0].state == "not all"
    assert outcomes[0].left.startswith("all blocks are predicted, process 7 on elsewhere (since 19")
    assert not status(tmp_path / "o")[0].finished
    os.utime(path, (0, 0))
    shard(given, tmp_path / "o", 0, 2, outcomes)
    assert outcomes[1].state == "done"


def test_a_decoding_that_was_interrupted_is_taken_up_by_any_shard(tmp_path, given, monkeypatch):
    pytc_auto.predict(**given, out=tmp_path / "whole")

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(segment, "decode_step", stop)
        with pytest.raises(KeyboardInterrupt):
            pytc_auto.predict(**given, out=tmp_path / "o")
    shard(given, tmp_path / "o", 1, 2)
    same(tmp_path / "whole", tmp_path / "o")


def test_blocks_are_whole_chunks_of_the_output(tmp_path, given, monkeypatch):
    written, write = [], BlockPrediction.write
    monkeypatch.setattr(BlockPrediction, "write", lambda self, box, made: (written.append(box), write(self, box, made)))
    box = Box((1, 3, 5), (18, 26, 33))
    for block in ((16, 16, 16), (18, 9, 70), (64, 64, 64), (130, 20, 8)):
        model, out = write_model(tmp_path / f"m{block}", block=block), tmp_path / f"o{block}"
        written.clear()
        pytc_auto.predict(**{**given, "model": model}, box=box, out=out)
        array = zarr.open_array(out / "0", mode="r")
        owners = {}
        for each in written:
            here = each.relative_to(box.start)
            for chunk in blocks(Box.of_shape(array.shape[1:]), array.chunks[1:]):
                if chunk.intersect(here).size:
                    assert owners.setdefault(chunk, each) == each
        assert len(owners) == np.prod(array.cdata_shape[1:])


def test_status_tells_of_one_output_and_of_a_folder_of_them(tmp_path, given, monkeypatch, capsys):
    out = tmp_path / "many"
    shard(given, out / "half", 0, 2)
    pytc_auto.predict(**given, out=out / "whole")
    bad = Box((16, 16, 0), (18, 26, 16))
    write = BlockPrediction.write

    def fails(self, box, made):
        if box == bad:
            raise ValueError("bad luck")
        write(self, box, made)

    monkeypatch.setattr(BlockPrediction, "write", fails)
    with pytest.raises(OutputError, match="1 of 12 blocks failed twice"):
        pytc_auto.predict(**given, out=out / "bad")
    (out / "other").mkdir()
    running = out / "bad/.pytc/predict/running/0-16_0-16_0-16"
    running.write_text(json.dumps({"host": socket.gethostname(), "pid": 2**22 + 1, "born": 5, "since": 0.0}))
    found = status(out)
    assert [(each.path.name, each.finished) for each in found] == [("bad", False), ("half", False), ("whole", True)]
    (stage,) = found[0].stages
    assert (stage.name, stage.blocks, stage.done, list(stage.failed.values())) == ("predict", 12, 11, ["ValueError: bad luck"])
    assert list(stage.ended) == ["0-16_0-16_0-16"]
    assert [(s.blocks, s.done) for s in status(out / "half")[0].stages] == [(12, 6)]
    monkeypatch.setattr("sys.argv", ["pytc", "status", str(out)])
    with pytest.raises(SystemExit) as stop:
        main()
    told = capsys.readouterr().out
    assert not stop.value.code
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in told.splitlines() if line.startswith("│")]
    assert [row[1:] for row in rows] == [
        ["predict", "12", "11", "0", "1", "1"],
        ["predict", "12", "6", "0", "0", "0"],
        ["finished", "", "", "", "", ""],
    ]
    assert "bad: block 16-18_16-26_0-16 failed: ValueError: bad luck" in told
    assert "was begun by process 4194305 on" in told


@pytest.mark.parametrize("what", ["nothing", "file", "folder", "damaged"])
def test_status_of_what_is_no_output_is_one_message(tmp_path, monkeypatch, capsys, what):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "damaged/.pytc").mkdir(parents=True)
    (tmp_path / "damaged/.pytc/job.json").write_text("[]")
    monkeypatch.setattr("sys.argv", ["pytc", "status", str(tmp_path / what)])
    with pytest.raises(SystemExit) as stop:
        main()
    error = capsys.readouterr().err
    assert stop.value.code == 1
    assert ("is damaged" if what == "damaged" else "is no output of pytc predict, nor a folder of such") in error
    assert "Traceback" not in error


def test_each_worker_has_its_share_of_the_machine(monkeypatch):
    import torch

    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert worker_environments(3) == ({"OMP_NUM_THREADS": "2"},) * 3
    assert make_executor().environments == ()
    assert make_executor(dask="local").environments == ({"OMP_NUM_THREADS": "8"},)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [e["CUDA_VISIBLE_DEVICES"] for e in worker_environments(3)] == ["0", "1", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,3")
    assert [e["CUDA_VISIBLE_DEVICES"] for e in worker_environments(2)] == ["5", "3"]

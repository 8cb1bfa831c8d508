from __future__ import annotations

import json
import os
import socket

from pytc_auto.executors.ledger import BlockLedger, block_name
from pytc_auto.executors.stages import read_stages
from pytc_auto.geometry import Box, blocks

BOXES = list(blocks(Box.of_shape((4, 6, 10)), (2, 3, 5)))


def test_blocks_are_counted_by_how_they_are(tmp_path):
    ledger = BlockLedger(tmp_path / "predict", "a")
    ledger.expect(len(BOXES))
    for box in BOXES[:3]:
        ledger.mark(box)
    ledger.quarantine(BOXES[3], "DataError: damaged\n\nTraceback ...")
    gone = {"host": socket.gethostname(), "pid": 2**22 + 1, "born": 5, "since": 0.0}
    with ledger.running(BOXES[4]):
        (ledger.folder / "running" / block_name(BOXES[5])).write_text(json.dumps(gone))
        (stage,) = read_stages(tmp_path)
    assert (stage.name, stage.blocks, stage.done) == ("predict", 8, 3)
    assert list(stage.running) == ["2-4_0-3_0-5"]
    assert stage.running["2-4_0-3_0-5"].pid == os.getpid()
    assert {name: worker.pid for name, worker in stage.ended.items()} == {"2-4_0-3_5-10": 2**22 + 1}
    assert stage.failed == {block_name(BOXES[3]): "DataError: damaged"}


def test_stages_are_in_their_order_and_other_folders_are_none(tmp_path):
    assert read_stages(tmp_path) == []
    BlockLedger(tmp_path / "z", "a")
    BlockLedger(tmp_path / "decode" / "fragments", "a")
    (tmp_path / "cache").mkdir()
    os.utime(tmp_path / "z" / "job", ns=(1, 1))
    assert [(stage.name, stage.blocks, stage.done) for stage in read_stages(tmp_path)] == [("z", None, 0), ("fragments", None, 0)]

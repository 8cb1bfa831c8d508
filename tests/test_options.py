"""What is typed for an option, and what is said where it is wrong."""

from __future__ import annotations

import pytest
import typer

from pytc_auto.executors.shard import Shard
from pytc_auto.geometry import Box
from pytc_auto.options import border, box, dask, fold_number, members, seconds, shard, symmetries, voxel_size

WRONG = {
    box: ["", "1:2,3:4", "1:2,3:4,5:5", "4:2,0:1,0:1", "-1:2,0:1,0:1", ":2,0:1,0:1", "1:2,3:4,5:6,7:8", "a"],
    border: ["", "1,2", "-1", "1,2,3,4", "2.5"],
    members: ["", "all", "1,", "-1", "1;2", "1.5"],
    symmetries: ["", "0", "-2", "many", "2.0"],
    seconds: ["", "0", "-3m", "3d", "m"],
    voxel_size: ["", "4,4", "4,4,0", "4,4,-1", "a,b,c", "1,2,3,4", "nan,1,1", "1,inf,1"],
    shard: ["", "1", "4/4", "-1/4", "1/0", "a/b", "1/2/3"],
    dask: ["", "here", "host", "host:port", "tcp://", "a b:1"],
    fold_number: ["", "-1", "every", "1.5"],
}


@pytest.mark.parametrize(("parse", "text"), [(parse, text) for parse, texts in WRONG.items() for text in texts])
def test_what_is_none_is_refused_with_an_example(parse, text):
    with pytest.raises(typer.BadParameter, match=r"(is not an?|are no) .*\. Write "):
        parse(text)


def test_what_is_one_is_read():
    assert box("1:20, 30:400,5:66") == Box((1, 30, 5), (20, 400, 66))
    assert (border("3"), border("1, 2,3")) == ((3, 3, 3), (1, 2, 3))
    assert (members("0"), members("3,1")) == ((0,), (3, 1))
    assert (symmetries("all"), symmetries("16")) == ("all", 16)
    assert (seconds("1.5h"), seconds("20s")) == (5400.0, 20.0)
    assert voxel_size("45,4.6,4.5") == (45.0, 4.6, 4.5)
    assert (shard("3/4"), shard("0/1")) == (Shard(3, 4), Shard(0, 1))
    assert [dask(text) for text in ("slurm", "node-1.local:8786", "tls://[::1]:80")] == [
        "slurm",
        "node-1.local:8786",
        "tls://[::1]:80",
    ]
    assert (fold_number("all"), fold_number("3")) == ("all", "3")

from __future__ import annotations

import copyreg
import os
import pickle
import subprocess
import sys
from collections import OrderedDict, defaultdict

import networkx as nx
import numpy as np
import pytest

from pytc_auto.errors import DataError
from pytc_auto.io.restricted_pickle import Record, load_pickle

FREE = "nothing in it was run"


class Calls:
    """Pickles as a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


class Own:
    """A class of the file's own."""

    def __call__(self, *_args):
        raise AssertionError("it ran")


def written(path, value, protocol=4):
    path.write_bytes(value if isinstance(value, bytes) else pickle.dumps(value, protocol=protocol))
    return path


def refused(path, value):
    with pytest.raises(DataError) as caught:
        load_pickle(written(path, value))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def a_graph():
    graph = nx.Graph(axes="xyz")
    graph.add_node(
        np.int64(7), id=np.uint32(3), place=np.array([[1, 2, 3], [4, 5, 6]], np.int16).T, name="a", more=[1.5, None, True]
    )
    graph.add_node((1, 2), id=2**63 + 5, place=np.array([1.5, 2.5], ">f4"))
    graph.add_edge(7, (1, 2), length=np.float32(2.5))
    assert len(graph.nodes) == len(graph.adj) == 2 * len(graph.edges)
    assert dict(graph.degree) == {7: 1, (1, 2): 1}
    return graph


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_networkx_graph_is_read_as_plain_values(tmp_path, protocol):
    found = load_pickle(written(tmp_path / "g.pkl", a_graph(), protocol))
    assert type(found) is Record
    nodes, neighbors = found.state["_node"], found.state["_adj"]
    assert list(nodes) == [7, (1, 2)]
    assert [nodes[7][key] for key in ("id", "name", "more")] == [3, "a", [1.5, None, True]]
    assert type(nodes[7]["id"]) is int
    place = np.asarray(nodes[7]["place"])
    assert place.dtype == np.int16
    assert place.tolist() == [[1, 4], [2, 5], [3, 6]]
    assert nodes[1, 2]["id"] == 2**63 + 5
    assert np.asarray(nodes[1, 2]["place"]).tolist() == [1.5, 2.5]
    assert neighbors == {7: {(1, 2): {"length": 2.5}}, (1, 2): {7: {"length": 2.5}}}
    assert found.state["graph"] == {"axes": "xyz"}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_containers(tmp_path, protocol):
    value = [
        OrderedDict(a=1),
        defaultdict(list, {2: [3]}),
        {4, 5},
        frozenset({6}),
        {"k": (7.5, "ü", b"\xff\x00", 2**70, None, False)},
    ]
    assert load_pickle(written(tmp_path / "v.pkl", value, protocol)) == value


def test_networkx_need_not_be_there(tmp_path):
    path = written(tmp_path / "g.pkl", a_graph())
    code = (
        "import sys; sys.modules['networkx'] = None\n"
        "from pathlib import Path; from pytc_auto.io.restricted_pickle import load_pickle\n"
        f"print(len(load_pickle(Path({str(path)!r})).state['_node']))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "2"


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("function", "args", "named"),
    [
        (os.system, ("touch {}",), "system"),
        (subprocess.Popen, ("touch {}", -1, None, None, None, None, None, True, True), "Popen"),
        (eval, ("open({!r}, 'w')",), "eval"),
        (exec, ("open({!r}, 'w')",), "exec"),
        (open, ("{}", "w"), "open"),
        (getattr, ("", "join"), "getattr"),
        (__import__, ("antigravity",), "__import__"),
        (np.load, ("{}", None, True), "load"),
        (pickle.loads, (b"N.",), "loads"),
        (bytearray, (10**15,), "bytearray"),
        (tuple, ([()],), "tuple"),
    ],
)
def test_a_call_is_refused_by_name_and_not_made(tmp_path, function, args, named, protocol):
    mark = tmp_path / "ran"
    np.save(tmp_path / "ran.npy", np.array([Calls(os.mkdir, str(mark))], object), allow_pickle=True)
    name = str(tmp_path / "ran.npy") if function is np.load else str(mark)
    filled = [a.format(name) if isinstance(a, str) else a for a in args]
    for value in (Calls(function, *filled), {"_node": {1: Calls(function, *filled)}}, [(Calls(function, *filled),)]):
        text = refused(tmp_path / "evil.pkl", pickle.dumps(value, protocol))
        assert named in text
        assert FREE in text
    assert not mark.exists()


def test_other_ways_to_foreign_code(tmp_path):
    path = tmp_path / "evil.pkl"
    assert "Own" in refused(path, Own())
    assert "Own" in refused(path, Calls(Own))
    assert "networkx.classes.graph.Graph.__init__" in refused(
        path, b"\x80\x04\x8c\x16networkx.classes.graph\x8c\x0eGraph.__init__\x93."
    )
    refused(path, b"Pid\n.")
    refused(path, b"\x80\x05\x97.")
    refused(path, b"(S'touch ran'\nios\nsystem\n.")


def test_what_this_process_has_registered_is_refused(tmp_path):
    content = b"\x80\x02\x82\xc8."
    copyreg.add_extension("os", "system", 200)
    try:
        assert pickle.loads(content) is os.system
        assert "asks for a registered extension" in refused(tmp_path / "evil.pkl", content)
    finally:
        copyreg.remove_extension("os", "system", 200)


def test_what_is_listed_cannot_be_changed(tmp_path):
    path = tmp_path / "evil.pkl"
    graph, number = b"cnetworkx.classes.graph\nGraph\n", b"cnumpy.core.multiarray\nscalar\n"
    state = b"N}(S'__defaults__'\nK\x01K\x02\x86u\x86b."
    for target in (graph, number, b"cbuiltins\nlist\n", b"]"):
        assert "changes an object" in refused(path, b"\x80\x02" + target + state)
    assert FREE in refused(
        path,
        b"\x80\x02" + graph + b")\x81" + number + b"S'a'\nS'b'\n\x86b" + b"(S'__setstate__'\n" + number + b"db0cos\nsystem\n.",
    )
    assert load_pickle(written(tmp_path / "g.pkl", a_graph())).state["_node"]


@pytest.mark.parametrize(
    "value",
    [
        np.array([Own()], object),
        np.array(["text"]),
        np.zeros(2, [("a", "i4"), ("b", "O")]),
        np.datetime64("2020-01-01"),
        np.ma.masked_array([1, 2]),
    ],
)
def test_arrays_hold_numbers_only(tmp_path, value):
    refused(tmp_path / "a.pkl", value)


def test_arrays_are_as_long_as_their_bytes(tmp_path):
    content = pickle.dumps(np.arange(3, dtype=np.int64), 2)
    assert content.count(b"K\x03\x85") == 1
    assert "damaged" in refused(tmp_path / "a.pkl", content.replace(b"K\x03\x85", b"J\xff\xff\xff\x7f\x85"))


def test_encodings_are_not_looked_up(tmp_path):
    path = tmp_path / "e.pkl"
    assert load_pickle(written(path, b"c_codecs\nencode\n(V\\u00ff\nVlatin1\ntR.")) == b"\xff"
    assert "zlib" in refused(path, b"c_codecs\nencode\n(Vabc\nVzlib\ntR.")


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.7, 0.99])
def test_a_truncated_file(tmp_path, share):
    content = pickle.dumps(a_graph(), 4)
    assert "is truncated or damaged" in refused(tmp_path / "g.pkl", content[: int(share * len(content))])
    assert "is truncated or damaged" in refused(tmp_path / "g.pkl", bytes(range(256)))


@pytest.mark.parametrize("deep", [b")" + b"\x85" * 10**6, b")" + b"\x85\x94" * 10**6, b"(" * 10**5 + b"t" * 10**5])
def test_deep_tuples_are_refused_where_python_would_crash(tmp_path, deep):
    """Python computes the hash of a tuple within tuples without a limit: as a key, such a one ends the process."""
    assert "nested more than 4 deep" in refused(tmp_path / "deep.pkl", b"\x80\x04}" + deep + b"K\x01s.")


def test_wide_tuples_are_refused(tmp_path):
    assert load_pickle(written(tmp_path / "t.pkl", {((((0,) * 16,),),): 1})) == {((((0,) * 16,),),): 1}
    assert "more than 16 items" in refused(tmp_path / "t.pkl", {(0,) * 17: 1})
    assert "nested more than 4 deep" in refused(tmp_path / "t.pkl", {(((((0,),),),),): 1})


def test_deep_lists_and_calls_do_no_harm(tmp_path):
    path = tmp_path / "deep.pkl"
    assert len(load_pickle(written(path, b"\x80\x04" + b"]" * 100_000 + b"a" * 99_999 + b"."))) == 1
    called = b"\x80\x04" + b"cbuiltins\nlist\n" * 20_000 + b"]" + b"\x85R" * 20_000 + b"."
    assert load_pickle(written(path, called)) == []


def test_sizes_that_are_only_announced_take_no_memory(tmp_path):
    for content in (b"\x80\x04\x8e" + b"\xff" * 7 + b"\x0f", b"\x80\x04K\x01r\xff\xff\xff\xff0"):
        assert "damaged" in refused(tmp_path / "s.pkl", content)


def test_what_is_read_is_the_callers(tmp_path):
    path = written(tmp_path / "a.pkl", [np.arange(3)])
    first = np.asarray(load_pickle(path)[0])
    first[0] = 9
    assert np.asarray(load_pickle(path)[0]).tolist() == [0, 1, 2]

from __future__ import annotations

import pickle

import networkx as nx
import numpy as np
import pytest

from pytc_auto.errors import DataError
from pytc_auto.geometry import Box
from pytc_auto.io.skeletons import open_skeletons, read_skeletons
from pytc_auto.io.volume import ArrayVolume
from pytc_auto.schema.dataset import VolumeEntry

SIZE = (20.0, 9.0, 8.0)
SHAPE = (4, 5, 6)
SWC = """# a neuron of 5 µm
5 0 12.0 24.5 41 1 2
1 1 8 9 20 1.5 -1

 2 0 8 18 20 1 1 and more
"""


def volume(offset_nm=None, size=SIZE):
    made = ArrayVolume(np.zeros(SHAPE, np.uint8), voxel_size_nm=size, source="seg.h5")
    made.offset_nm = offset_nm
    return made


def swc(path, text=SWC):
    path.write_text(text, encoding="latin-1")
    return path


def nisb(*, index=True, times=1, ids=(40, 40, 2**63 + 1, 2**63 + 1)):
    """As NISB stores it: x, y, z."""
    graph = nx.Graph()
    for node, place in enumerate(times * np.array([(1, 2, 3), (4, 2, 3), (0, 0, 0), (0, 4, 0)])):
        graph.add_node(node, id=ids[node], nm_position=place * SIZE[::-1], **({"index_position": tuple(place)} if index else {}))
    graph.add_edge(0, 1, edge_length=1e9)
    graph.add_edge(3, 2)
    return graph


def pickled(path, graph):
    path.write_bytes(pickle.dumps(graph))
    return path


def fault(path, of=None, **options):
    with pytest.raises(DataError) as caught:
        read_skeletons(path, of or volume(), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".swc", ".SWC"])
def test_swc_is_x_y_z_in_nanometers(tmp_path, suffix):
    found = read_skeletons(swc(tmp_path / f"n{suffix}"), volume())
    assert found.nodes_nm.tolist() == [[41, 24.5, 12], [20, 9, 8], [20, 18, 8]]
    assert found.nodes_zyx.tolist() == [[2, 2, 1], [1, 1, 1], [1, 2, 1]]
    assert found.edges.tolist() == [[0, 2], [2, 1]]
    assert found.skeleton.tolist() == [0, 0, 0]
    assert found.edge_lengths_nm == pytest.approx([np.sqrt(21**2 + 6.5**2 + 4**2), 9])
    assert found.lengths_nm == pytest.approx([np.sqrt(21**2 + 6.5**2 + 4**2) + 9])


def test_swc_in_other_units_and_at_an_offset(tmp_path):
    path = swc(tmp_path / "n.swc", "1 0 1 2.9 3 1 -1\n2 0 1 2 4.5 1 1\n")
    shifted = volume(offset_nm=(1000, 2000, 500))
    voxels = read_skeletons(path, shifted, "voxel")
    assert voxels.nodes_zyx.tolist() == [[3, 2, 1], [4, 2, 1]]
    assert voxels.nodes_nm == pytest.approx(np.array([[1060, 2026.1, 508], [1090, 2018, 508]]))
    micrometers = read_skeletons(path, shifted, "um")
    assert micrometers.nodes_nm == pytest.approx(np.array([[3000, 2900, 1000], [4500, 2000, 1000]]))
    assert micrometers.nodes_zyx.tolist() == [[100, 100, 62], [175, 0, 62]]
    assert read_skeletons(path, shifted).nodes_zyx.tolist() == [[-50, -222, -63], [-50, -222, -63]]


@pytest.mark.parametrize("size", [(20.0, 9.0, 8.0), (0.1, 0.3, 0.7), (33.3, 4.4, 6.6)])
def test_a_computed_position_finds_the_voxel_it_was_computed_from(tmp_path, size):
    index = np.arange(60).reshape(20, 3)
    for shift in (0, 0.5):
        text = "".join(f"{n} 0 {x} {y} {z} 1 {n - 1 or -1}\n" for n, (z, y, x) in enumerate((index + shift) * size, 1))
        assert read_skeletons(swc(tmp_path / "n.swc", text), volume(size=size)).nodes_zyx.tolist() == index.tolist()


def test_a_folder_of_swc_has_a_skeleton_in_each_file(tmp_path):
    swc(tmp_path / "b.swc")
    swc(tmp_path / "a.swc", "1 0 0 0 0 1 -1\n2 0 8 0 0 1 1\n7 0 80 0 0 1 -1\n8 0 80 0 5 1 7\n")
    (tmp_path / "notes.txt").write_text("no skeleton")
    found = read_skeletons(tmp_path, volume())
    assert found.skeleton.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert found.edges.tolist() == [[1, 0], [3, 2], [4, 6], [6, 5]]
    assert found.lengths_nm[0] == 13
    assert found.count == 2


def test_nisb_stores_x_y_z_twice(tmp_path):
    found = read_skeletons(pickled(tmp_path / "skeleton.pkl", nisb()), volume())
    assert found.nodes_zyx.tolist() == [[3, 2, 1], [3, 2, 4], [0, 0, 0], [0, 4, 0]]
    assert found.nodes_nm.tolist() == [[60, 18, 8], [60, 18, 32], [0, 0, 0], [0, 36, 0]]
    assert found.edges.tolist() == [[0, 1], [2, 3]]
    assert found.skeleton.tolist() == [0, 0, 1, 1]
    assert found.lengths_nm.tolist() == [24, 36]
    computed = read_skeletons(pickled(tmp_path / "nm.pickle", nisb(index=False)), volume())
    assert np.array_equal(computed.nodes_zyx, found.nodes_zyx)
    unknown = read_skeletons(tmp_path / "skeleton.pkl", volume(size=None))
    assert np.array_equal(unknown.nodes_zyx, found.nodes_zyx)


def test_a_graph_on_another_grid_is_refused(tmp_path):
    path = pickled(tmp_path / "skeleton.pkl", nisb(times=100))
    assert "voxels of about [20.0, 9.0, 8.0] nm (z, y, x), but seg.h5 has [8.0, 9.0, 20.0]" in fault(
        path, volume(size=SIZE[::-1])
    )
    assert "of about [20.0, 9.0, 8.0] nm" in fault(path, volume(size=(20.0, 18.0, 16.0)))


def test_a_graph_that_is_none_of_skeletons(tmp_path):
    path = tmp_path / "g.pkl"
    assert "an edge links nodes of two skeletons" in fault(pickled(path, nisb(ids=(1, 2, 3, 3))))
    bare = nisb()
    del bare.nodes[2]["id"]
    assert "a node has no 'id'" in fault(pickled(path, bare))
    far = nisb()
    far.nodes[2]["nm_position"] = [np.nan, 0, 0]
    assert "not a number" in fault(pickled(path, far))
    flat = nisb()
    flat.nodes[2]["index_position"] = (1, 2)
    assert "damaged" in fault(pickled(path, flat))
    assert "no networkx graph" in fault(pickled(path, {"_node": {}, "_adj": {}}))
    assert "no edge has a length" in fault(pickled(path, nx.Graph()))
    assert "asks for" in fault(pickled(path, pytest.raises))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 0 1 1 1 1 -1\n2 0 1 1 2 1 9\n", "a parent that is no node"),
        ("1 0 1 1 1 1 -1\n1 0 1 1 2 1 1\n", "a node number twice"),
        ("1 0 1 nan 1 1 -1\n2 0 1 1 2 1 1\n", "not a number"),
        ("1 0 1 1 1 1 -1\n2 0 1e300 1 2 1 1\n", "too large"),
        ("1 0 1 1 1 1 -1\n2 0 1 1 2 1 nan\n", "a parent that is no node"),
        ("1 0 1 1 1 1\n", "damaged"),
        ("<html>\n", "damaged"),
        ("# nothing\n", "no edge has a length"),
        ("1 0 1 1 1 1 -1\n", "no edge has a length"),
        ("1 0 1 1 1 1 -1\n2 0 1 1 1 1 1\n", "no edge has a length"),
    ],
)
def test_swc_that_cannot_be_used(tmp_path, text, said):
    path = swc(tmp_path / "n.swc", text)
    assert said in fault(path)
    assert str(path) in fault(path)


def test_what_is_no_file_of_skeletons(tmp_path):
    assert "is not there" in fault(tmp_path / "nowhere")
    assert "is not there" in fault(tmp_path / "nowhere.swc")
    assert "holds no SWC file" in fault(tmp_path)
    assert "Known: .swc" in fault(swc(tmp_path / "n.csv"))
    assert "seg.h5: has no voxel size" in fault(swc(tmp_path / "n.swc"), volume(size=None))


def test_what_lies_outside_is_left_out_with_its_edges(tmp_path):
    text = "1 0 0 0 0 1 -1\n2 0 8 0 0 1 1\n3 0 48 0 0 1 2\n4 0 40 0 0 1 3\n5 0 40 9 0 1 4\n"
    whole = read_skeletons(swc(tmp_path / "n.swc", text), volume())
    inside = whole.inside(SHAPE)
    assert whole.nodes_zyx[:, 2].tolist() == [0, 1, 6, 5, 5]
    assert inside.nodes_zyx[:, 2].tolist() == [0, 1, 5, 5]
    assert inside.edges.tolist() == [[1, 0], [3, 2]]
    assert inside.lengths_nm.tolist() == [17]
    assert (whole.count, inside.count) == (1, 1)
    with pytest.raises(DataError, match="no edge has a length"):
        read_skeletons(swc(tmp_path / "m.swc", "1 0 0 0 0 1 -1\n2 0 48 0 0 1 1\n3 0 8 0 0 1 2\n"), volume()).inside(SHAPE)
    with pytest.raises(DataError, match=r"3 of 5 nodes lie outside .*\[0, 0, 0\] to \[0, 1, 6\].*--skeleton-units"):
        whole.inside((4, 5, 2))


LOOP = "1 0 4 4 10 1 -1\n2 0 12 4 10 1 1\n3 0 20 4 10 1 2\n4 0 28 4 10 1 3\n5 0 20 13 10 1 4\n6 0 12 13 10 1 5\n"


def test_of_a_box_what_hangs_together_inside_is_a_piece(tmp_path):
    """A line that leaves the box on x and comes back: two pieces of one skeleton. Another skeleton has one node in it."""
    swc(tmp_path / "a.swc", LOOP)
    swc(tmp_path / "b.swc", "1 0 4 40 10 1 -1\n2 0 28 40 10 1 1\n")
    whole = read_skeletons(tmp_path, volume())
    box = Box((0, 0, 0), (4, 5, 3))
    cut = whole.clipped(box)
    assert cut.nodes_zyx.tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 1, 2], [0, 1, 1], [0, 4, 0]]
    assert cut.edges.tolist() == [[1, 0], [2, 1], [4, 3]]
    assert cut.skeleton.tolist() == [0, 0, 0, 0, 0, 1]
    assert cut.pieces.tolist() == [0, 0, 0, 1, 1, 2]
    assert cut.lengths_nm.tolist() == [16, 8, 0]
    assert (cut.count, whole.count) == (1, 2)
    assert whole.length_in(box) == cut.lengths_nm.sum() == 24
    assert whole.lengths_nm == pytest.approx([16 + 8 + np.hypot(8, 9) + 8, 24])
    with pytest.raises(DataError, match=r"no edge lies in \[1:4, 0:5, 0:6\] \(z, y, x\)\. Choose a box"):
        whole.clipped(Box((1, 0, 0), SHAPE))


def test_on_a_coarser_grid_and_from_another_voxel_lengths_stay(tmp_path):
    whole = read_skeletons(swc(tmp_path / "a.swc", LOOP), volume())
    assert whole.coarser((1, 1, 2)).nodes_zyx[:, 2].tolist() == [0, 0, 1, 1, 1, 0]
    moved = whole.moved((-1, 0, 1))
    assert moved.nodes_zyx.tolist() == (whole.nodes_zyx - (-1, 0, 1)).tolist()
    assert moved.lengths_nm.tolist() == whole.lengths_nm.tolist()


def test_a_graph_in_a_volume_with_an_offset_goes_by_nanometers(tmp_path):
    """The part of a volume that was predicted: the graph's voxels are those of the whole."""
    path = pickled(tmp_path / "skeleton.pkl", nisb())
    found = read_skeletons(path, volume(offset_nm=(20, 0, 16)))
    assert found.nodes_zyx.tolist() == [[2, 2, -1], [2, 2, 2], [-1, 0, -2], [-1, 4, -2]]
    placed = nisb()
    for node in placed.nodes.values():
        node["nm_position"] = node["nm_position"] + (1600, 0, 2000)
    found = read_skeletons(pickled(tmp_path / "placed.pkl", placed), volume(offset_nm=(2000, 0, 1600)))
    assert found.nodes_zyx.tolist() == [[3, 2, 1], [3, 2, 4], [0, 0, 0], [0, 4, 0]]
    far = pickled(tmp_path / "far.pkl", nisb(times=100))
    assert "of about [20.0, 9.0, 8.0] nm" in fault(far, volume(offset_nm=(20, 0, 16), size=(20.0, 18.0, 8.0)))


@pytest.mark.parametrize(("units", "scale"), [("nm", 1), ("um", 1000), ("voxel", SIZE)])
def test_skeletons_of_an_entry_lie_on_the_grid_of_image_and_labels(tmp_path, units, scale):
    """The image has voxels half as long on x and y as the labels."""
    places = np.array([(1, 3, 5), (3, 4, 4)])
    at = (places + 0.25) * np.array(SIZE) / scale
    rows = [f"{n} 0 {x:.9g} {y:.9g} {z:.9g} 1 {n - 1 or -1}" for n, (z, y, x) in enumerate(at, 1)]
    np.save(tmp_path / "image.npy", np.zeros(SHAPE, np.uint8))
    entry = VolumeEntry(
        name="a",
        image=str(tmp_path / "image.npy"),
        labels=None,
        voxel_size_nm=(20.0, 18.0, 16.0),
        axes="zyx",
        image_scale=(1, 2, 2),
        skeletons=str(swc(tmp_path / "a.swc", "\n".join(rows))),
        skeleton_units=units,
        unlabeled_sections=[],
    )
    found = open_skeletons(entry)
    assert found.nodes_zyx.tolist() == (places // (1, 2, 2)).tolist()
    assert found.nodes_nm == pytest.approx((places + 0.25) * SIZE)

from __future__ import annotations

import pickle

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree
from scipy.spatial import cKDTree
from skimage.morphology import skeletonize


def traced(labels_zyx, *, least=3):
    """By id: voxels on the center line of a label, (N, 3), and the parent of each, -1 for a root; short lines are left out."""
    found = {}
    for label in np.unique(labels_zyx)[1:]:
        nodes = np.argwhere(skeletonize(labels_zyx == label))
        if len(nodes) >= least:
            found[int(label)] = nodes, _parents(nodes)
    return found


def _parents(nodes):
    pairs = cKDTree(nodes).query_pairs(1.75, output_type="ndarray")
    lengths = np.linalg.norm(nodes[pairs[:, 0]] - nodes[pairs[:, 1]], axis=1)
    tree = minimum_spanning_tree(coo_array((lengths, pairs.T), shape=(len(nodes),) * 2))
    parents, left = np.full(len(nodes), -1), set(range(len(nodes)))
    while left:
        order, before = breadth_first_order(tree, min(left), directed=False)
        parents[order[1:]] = before[order[1:]]
        left -= set(order.tolist())
    return parents


def write_swc(folder, lines, size=(1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0)):
    """A file for each neuron, nodes in the middle of their voxels; ``size`` of one voxel leaves positions in voxels."""
    folder.mkdir(parents=True, exist_ok=True)
    for label, (nodes, parents) in lines.items():
        at = (nodes + 0.5) * size + origin
        rows = [f"{n} 0 {x} {y} {z} 1 {p + 1 or -1}" for n, ((z, y, x), p) in enumerate(zip(at, parents, strict=True), 1)]
        (folder / f"{label}.swc").write_text("\n".join(rows))
    return folder


def write_graph(path, lines, size):
    """As NISB stores it: x, y, z."""
    import networkx as nx

    graph = nx.Graph()
    for label, (nodes, parents) in lines.items():
        for n, (node, parent) in enumerate(zip(nodes, parents, strict=True)):
            graph.add_node((label, n), id=label, index_position=tuple(map(int, node[::-1])), nm_position=(node * size)[::-1])
            if parent >= 0:
                graph.add_edge((label, n), (label, int(parent)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(graph))
    return path

from __future__ import annotations

import numpy as np
import pytest
from samples import FOREGROUND, small_plan
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pytc_auto.decoding.components import linked_components, voxel_graph
from pytc_auto.decoding.decode import candidates, decode
from pytc_auto.errors import PlanError
from pytc_auto.geometry import Box
from pytc_auto.schema.model import DecoderChoice
from pytc_auto.schema.plan import Plan

DISTANCE = {"kind": "signed_distance", "scale_nm": 64.0, "loss": "mse", "weight": 1.0}
DECODER = {"kinds": ["components"], "grid": {"threshold": [0.5, 0.9], "min_size": [0, 5]}, "metric": "ap"}
WAY = {"blending": "v1_gaussian", "patch": [16, 16, 16], "stride": [8, 8, 8], "pad": [[0, 0]] * 3, "pad_mode": "reflect"}
WAY |= {"zoom": [1, 1, 1], "symmetries": 1, "merge": "mean", "block": [16, 16, 16]}


def blobs():
    """A large one, a small one that meets it at an edge only, and a faint one."""
    foreground = np.zeros((5, 9, 11), np.float32)
    foreground[1:4, 1:4, 1:4] = 0.95
    foreground[1, 4, 4] = 0.95
    foreground[1:4, 6:8, 6:10] = 0.7
    return foreground


def found(threshold, min_size):
    plan = small_plan(heads=[DISTANCE, FOREGROUND], decoder=DECODER, inference={**WAY, "activations": ["tanh", "sigmoid"]})
    stored = np.stack([np.ones(blobs().shape), 255 * blobs()]).astype(np.uint8)
    ids = decode(stored, plan, DecoderChoice(kind="components", parameters={"threshold": threshold, "min_size": min_size}))
    return {int(i): int(n) for i, n in zip(*np.unique(ids[ids > 0], return_counts=True), strict=True)}


@pytest.mark.parametrize(
    ("threshold", "min_size", "sizes"),
    [(0.5, 0, [1, 24, 27]), (0.9, 0, [1, 27]), (0.5, 2, [24, 27]), (0.5, 25, [27]), (0.5, 28, []), (0.96, 0, [])],
)
def test_components_by_threshold_and_size(threshold, min_size, sizes):
    counts = found(threshold, min_size)
    assert sorted(counts.values()) == sizes
    assert sorted(counts) == list(range(1, len(sizes) + 1))


def test_a_plan_decodes_its_foreground_at_v1s_scale():
    plan = small_plan(heads=[DISTANCE, FOREGROUND], decoder=DECODER, inference={**WAY, "activations": ["tanh", "sigmoid"]})
    stored = np.zeros((2, 5, 9, 11), np.uint8)
    stored[1] = blobs() * 255
    made = {(c.parameters["threshold"], c.parameters["min_size"]): ids.max() for c, ids in candidates(stored, plan)}
    assert made == {(0.5, 0): 3, (0.5, 5): 2, (0.9, 0): 2, (0.9, 5): 1}
    choice = DecoderChoice(kind="components", parameters={"threshold": 0.9})
    assert decode(stored, plan, choice).max() == 2


def test_a_distance_alone_is_cut_between_its_ends():
    plan = small_plan(heads=[DISTANCE], decoder=DECODER, inference={**WAY, "activations": ["tanh"]})
    stored = np.full((1, 3, 4, 5), 100, np.uint8)
    stored[0, 1, 1:3, 1:3] = 140
    assert (decode(stored, plan, DecoderChoice(kind="components", parameters={})) > 0).sum() == 4


def test_it_wants_a_head_that_it_can_read():
    with pytest.raises(ValueError, match=r"components reads foreground or affinities or .*, heads has polarity"):
        small_plan(heads=[{"kind": "polarity", "loss": "focal", "weight": 1}], decoder=DECODER)


def test_flow_alone_is_no_target():
    flow = {"kind": "flow", "loss": "mse", "weight": 1}
    with pytest.raises(
        ValueError, match=r"heads: flow alone tells which way .*, not where .* Add a foreground or an affinities head"
    ):
        small_plan(heads=[flow], decoder=DECODER)
    assert small_plan(heads=[flow, FOREGROUND], decoder=DECODER).channels == 4


def test_activations_go_with_the_heads():
    raw = small_plan(heads=[DISTANCE, FOREGROUND], decoder=DECODER).model_dump(mode="json")
    with pytest.raises(PlanError, match=r"inference\.activations: has 1 values, heads has 2"):
        Plan.parse({**raw, "inference": {**WAY, "activations": ["tanh"]}}, "plan.yaml")


def by_hand(links):
    """Components, one link after the other."""
    shape = links.shape[1:]
    number = np.arange(np.prod(shape)).reshape(shape)
    pairs = []
    for axis in range(3):
        for voxel in np.argwhere(links[axis]):
            if voxel[axis] > 0:
                other = voxel.copy()
                other[axis] -= 1
                pairs.append((number[tuple(voxel)], number[tuple(other)]))
    a, b = np.array(pairs).T
    _, group = connected_components(coo_array((np.ones(len(a)), (a, b)), shape=(number.size,) * 2), directed=False)
    alone = np.ones(number.size, bool)
    alone[a] = alone[b] = False
    return group.reshape(shape), ~alone.reshape(shape)


SHAPES = [(5, 6, 7), (7, 3, 4), (1, 8, 9), (6, 9, 2), (4, 1, 9)]


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
@pytest.mark.parametrize("shape", SHAPES)
def test_components_of_links_are_those_of_a_graph(shape, share):
    links = np.random.default_rng(sum(shape)).random((3, *shape)) < share
    before = links.copy()
    (found, count), (expected, linked) = linked_components(voxel_graph(links), Box.of_shape(shape)), by_hand(links)
    np.testing.assert_array_equal(found > 0, linked)
    np.testing.assert_array_equal(np.unique(found[linked]), np.arange(1, count + 1))
    pairs = np.unique(np.stack([found[linked], expected[linked]]), axis=1)
    assert pairs.shape[1] == len(np.unique(pairs[0])) == len(np.unique(pairs[1])) > (5 if share < 0.4 else 0)
    np.testing.assert_array_equal(links, before)


@pytest.mark.parametrize("shape", SHAPES[:2])
def test_a_part_has_the_components_that_its_own_links_make(shape):
    """What is linked to the surroundings only is a component by itself."""
    links = np.random.default_rng(sum(shape)).random((3, *shape)) < 0.5
    part = Box((1, 1, 1), tuple(n - 1 for n in shape))
    found, count = linked_components(voxel_graph(links), part)
    expected, _ = by_hand(links[(slice(None), *part.slices)])
    linked = by_hand(links)[1][part.slices]
    np.testing.assert_array_equal(found > 0, linked)
    pairs = np.unique(np.stack([found[linked], expected[linked]]), axis=1)
    assert pairs.shape[1] == len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == count > 1

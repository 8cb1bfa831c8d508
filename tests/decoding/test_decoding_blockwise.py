from __future__ import annotations

import pickle

import numpy as np
import pytest
from samples import CPU, fingerprint, mitochondria
from scipy import ndimage
from tests_decoding import in_blocks, same

from pytc_auto.decoding.blockwise import Decoding, RegionTask, make_graph, segments
from pytc_auto.decoding.decode import KINDS, complete, decode
from pytc_auto.decoding.mutex import same_segments
from pytc_auto.evaluation.scores import score
from pytc_auto.io.predictions import to_uint8
from pytc_auto.planning.by_hand import read_overrides
from pytc_auto.planning.planner import make_plan
from pytc_auto.schema.model import DecoderChoice
from pytc_auto.targets.affinities import affinities_from_labels
from pytc_auto.targets.erosion import erode_borders

CUTS = [((20, 26, 34), (12, 10, 19)), ((9, 40, 33), (4, 23, 33)), ((31, 17, 22), (16, 17, 8))]
SIZES = [(10.0, 10.0, 10.0), (40.0, 8.0, 8.0), (12.0, 10.0, 9.0)]


def smooth(rng, shape, sigma=2.0):
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), sigma)
    return (noise / noise.std()).astype(np.float32)


def affinity_plan(size=(10.0, 10.0, 10.0)):
    return make_plan(fingerprint(voxel_size_nm=size), CPU)


def plan_of(kind, size):
    if kind == "polarity":
        head = read_overrides(["heads=[{kind:polarity,loss:dice_bce,weight:1.0}]"])
        return make_plan(fingerprint(voxel_size_nm=size), CPU, task="objects", by_hand=head)
    if kind == "seeded":
        return make_plan(fingerprint(voxel_size_nm=size), CPU, task="objects")
    return make_plan(mitochondria(), CPU) if kind == "argmax" else affinity_plan(size)


def random_prediction(plan, shape, seed, *, blank=True):
    rng = np.random.default_rng(seed)
    stored = to_uint8(np.stack([6 * smooth(rng, shape) for _ in range(plan.channels)]), plan.heads)
    stored = np.maximum(stored, 1)
    if blank:
        stored[:, shape[0] // 2 :, : shape[1] // 2] = 0
    return stored


EXACT = [
    ("components", {"threshold": 0.6}),
    ("components", {"threshold": 0.5, "min_size": 30}),
    ("polarity", {"threshold": 0.6}),
    ("polarity", {"threshold": 0.7, "gap_nm": 45.0, "min_size": 20}),
    ("argmax", {}),
    ("argmax", {"min_size": 40}),
]


@pytest.mark.parametrize(("cut", "size"), list(zip(CUTS, SIZES, strict=True)))
@pytest.mark.parametrize(("kind", "parameters"), EXACT)
def test_any_cutting_gives_the_same(tmp_path, cut, size, kind, parameters):
    shape, block = cut
    plan = plan_of(kind, size)
    stored = random_prediction(plan, shape, sum(shape))
    choice = DecoderChoice(kind=kind, parameters=parameters)
    expected = decode(stored, plan, choice)
    found = in_blocks(tmp_path, stored, plan, choice, block)
    assert len(np.unique(expected)) > 2 or kind == "argmax"
    if kind == "argmax":
        np.testing.assert_array_equal(found, expected)
    elif kind == "polarity":
        same(-(-found // 2), -(-expected // 2))
        np.testing.assert_array_equal(found % 2, expected % 2)
    else:
        same(found, expected)
    assert found.dtype == expected.dtype


@pytest.mark.parametrize(("shape", "size"), [(cut[0], size) for cut, size in zip(CUTS, SIZES, strict=True)])
@pytest.mark.parametrize("kind", list(KINDS))
def test_one_block_gives_what_decoding_in_memory_gives(tmp_path, shape, size, kind):
    plan = plan_of(kind, size)
    stored = random_prediction(plan, shape, 7)
    choice = DecoderChoice(kind=kind, parameters={"min_size": 15})
    np.testing.assert_array_equal(in_blocks(tmp_path, stored, plan, choice, shape), decode(stored, plan, choice))


def planted(shape):
    """2 × 2 × 3 touching boxes."""
    index = [i * n // s for i, n, s in zip(np.indices(shape), (2, 2, 3), shape, strict=True)]
    return (1 + np.ravel_multi_index(index, (2, 2, 3))).astype(np.uint32)


def stored_affinities(labels, plan, noise=0.0):
    eroded = erode_borders(labels, plan.working_voxel_size_nm, plan.labels.erode_nm)
    logits = affinities_from_labels(eroded, plan.offsets) * 12.0 - 6
    return to_uint8((logits + noise * smooth(np.random.default_rng(0), labels.shape)).astype(np.float32), plan.heads)


PLANTED = [
    ("agglomerate", {"threshold": 0.6}),
    ("agglomerate", {"threshold": 0.6, "quantile": 0.5}),
    ("mutex", {"bias": 0.5}),
]
EXTENTS = [((24, 30, 36), (10.0, 10.0, 10.0)), ((10, 40, 32), (40.0, 8.0, 8.0)), ((30, 24, 36), (12.0, 10.0, 9.0))]


@pytest.mark.parametrize(("shape", "size"), EXTENTS)
@pytest.mark.parametrize(("kind", "parameters"), PLANTED)
def test_planted_objects_do_not_depend_on_the_blocks(tmp_path, shape, size, kind, parameters):
    plan, labels = affinity_plan(size), planted(shape)
    stored = stored_affinities(labels, plan, noise=1.0)
    choice = DecoderChoice(kind=kind, parameters={**parameters, "min_size": 20})
    expected = decode(stored, plan, choice)
    assert score(expected, labels, kind="instances")["voi"] < 0.25
    for number, block in enumerate([(8, 13, 17), (shape[0], 16, 36)]):
        found = in_blocks(tmp_path / str(number), stored, plan, choice, block)
        assert score(found, expected, kind="instances")["voi"] < 0.02
        assert sorted(np.unique(found)) == list(range(1, len(np.unique(found)) + 1))


@pytest.mark.parametrize(("shape", "size"), EXTENTS)
def test_blobs_do_not_depend_on_the_blocks(tmp_path, shape, size):
    """Foreground that is larger than the halo joins its seed through the blocks between."""
    plan = plan_of("seeded", size)
    labels = planted(shape)
    boundary = np.zeros(shape, bool)
    for axis in range(3):
        moved, edge = np.moveaxis(labels, axis, 0), np.moveaxis(boundary, axis, 0)
        edge[1:] |= moved[1:] != moved[:-1]
        edge[:-1] |= moved[1:] != moved[:-1]
    foreground = np.where(np.indices(shape).sum(0) < 4, -6.0, 6.0)
    stored = to_uint8(np.stack([foreground, np.where(boundary, 6.0, -6.0)]).astype(np.float32), plan.heads)
    choice = DecoderChoice(kind="seeded", parameters={})
    expected = decode(stored, plan, choice)
    found = in_blocks(tmp_path, stored, plan, choice, (8, 13, 17))
    np.testing.assert_array_equal(found > 0, expected > 0)
    assert score(found, expected, kind="instances")["voi"] < 0.02


def test_a_long_blob_reaches_its_seed_through_blocks_without_one(tmp_path):
    """One seed at the end of a bar of 150 voxels, blocks of 10, a halo of 32."""
    plan = plan_of("seeded", (10.0, 10.0, 10.0))
    foreground = np.full((5, 6, 150), -6.0, np.float32)
    foreground[1:4, 1:5, 2:148] = 6
    boundary = np.full(foreground.shape, 6.0, np.float32)
    boundary[:, :, :8] = -6
    stored = to_uint8(np.stack([foreground, boundary]), plan.heads)
    found = in_blocks(tmp_path, stored, plan, DecoderChoice(kind="seeded", parameters={}), (5, 6, 10))
    np.testing.assert_array_equal(found, foreground > 0)


def test_regions_are_joined_across_a_face_by_hand(tmp_path):
    """Two rows of six voxels, blocks of three: the upper row is linked across the face, the lower one is not."""
    plan = affinity_plan()
    logits = np.full((plan.channels, 1, 2, 6), -6.0, np.float32)
    logits[plan.offsets.index((0, 0, -1)), 0, :, 1:] = 6
    logits[plan.offsets.index((0, 0, -1)), 0, 1, 3] = -6
    stored = to_uint8(logits, plan.heads)
    choice = DecoderChoice(kind="components", parameters={})
    found = in_blocks(tmp_path, stored, plan, choice, (1, 2, 3))
    assert found.tolist() == [[[1, 1, 1, 1, 1, 1], [2, 2, 2, 3, 3, 3]]]
    larger = in_blocks(tmp_path / "larger", stored, plan, choice.replace(parameters={"min_size": 4}), (1, 2, 3))
    assert larger.tolist() == [[[1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0]]]


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_volume_without_predictions_is_background(tmp_path, kind):
    plan = plan_of(kind, (10.0, 10.0, 10.0))
    found = in_blocks(
        tmp_path, np.zeros((plan.channels, 6, 8, 10), np.uint8), plan, DecoderChoice(kind=kind, parameters={}), (4, 4, 4)
    )
    assert not found.any()


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_single_section_is_decoded_in_blocks(tmp_path, kind):
    plan = plan_of(kind, (10.0, 10.0, 10.0))
    stored = random_prediction(plan, (1, 40, 52), 3)
    choice = DecoderChoice(kind=kind, parameters={})
    found = in_blocks(tmp_path, stored, plan, choice, (1, 16, 20))
    expected = decode(stored, plan, choice)
    np.testing.assert_array_equal(found[:, :, :] > 0, expected > 0)
    assert kind == "argmax" or score(found, expected, kind="instances")["voi"] < 0.5


def test_what_was_interrupted_goes_on(tmp_path):
    """A stage that ends in the middle leaves its blocks; the next call does the others."""
    plan, labels = affinity_plan(), planted((16, 18, 20))
    stored = stored_affinities(labels, plan)
    choice = DecoderChoice(kind="agglomerate", parameters={})
    done = set()

    def interrupted(task, boxes, name):
        for box in boxes:
            if (name, box) not in done:
                task(box)
                done.add((name, box))
                if len(done) == 5:
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_blocks(tmp_path, stored, plan, choice, (8, 9, 10), run=interrupted)
    decoding = Decoding(tmp_path / "out", tmp_path / "state", plan, complete(choice), (16, 18, 20), (8, 9, 10))
    make_graph(decoding, interrupted)
    expected = in_blocks(tmp_path / "undisturbed", stored, plan, choice, (8, 9, 10))
    assert len(np.unique(segments(decoding))) == len(np.unique(expected)) + 1


def test_segments_are_the_same_if_each_has_more_than_half_of_the_other():
    one = np.array([[1, 1, 1, 2, 2, 3, 0]])
    other = np.array([[5, 5, 6, 7, 7, 7, 8]])
    first, second = same_segments(one, other)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(1, 5), (2, 7)]


def test_tasks_can_be_sent_to_other_processes(tmp_path):
    plan = affinity_plan()
    decoding = Decoding(
        tmp_path / "out", tmp_path / "state", plan, complete(DecoderChoice(kind="mutex", parameters={})), (8, 8, 8)
    )
    assert pickle.loads(pickle.dumps(RegionTask(decoding))) == RegionTask(decoding)

from __future__ import annotations

import itertools
from pathlib import Path

import h5py
import numpy as np
import pytest
from samples import CPU, fingerprint
from scipy import ndimage
from tests_decoding import in_blocks, same

from pytc_auto.decoding.decode import decode
from pytc_auto.decoding.watershed import fragments_from_affinities
from pytc_auto.evaluation.contingency import contingency
from pytc_auto.evaluation.scores import score
from pytc_auto.io.predictions import probabilities, to_uint8
from pytc_auto.planning.planner import make_plan
from pytc_auto.schema.model import DecoderChoice
from pytc_auto.targets.affinities import affinities_from_labels
from pytc_auto.targets.erosion import erode_borders

FIB25 = Path(__file__).parents[2].parent / "shared" / "data" / "fib25"
LABELS, TRAIN = (FIB25 / part / "labels" / "medulla.h5" for part in ("test", "train"))
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not LABELS.is_file(), reason="no shared data beside the checkout")]


@pytest.fixture(scope="module")
def neurons():
    """Plan, labels and the affinities of their eroded borders: real shapes, no network."""
    plan = make_plan(fingerprint(), CPU)
    with h5py.File(LABELS) as file:
        labels = file["neuron_ids"][:]
    eroded = erode_borders(labels, plan.working_voxel_size_nm, plan.labels.erode_nm)
    return plan, labels, affinities_from_labels(eroded, plan.offsets)


def noisy(affinities, sigma, seed=0):
    """Logits of ±4 with noise that is correlated in space and, by half, between channels."""
    rng = np.random.default_rng(seed)

    def field():
        noise = ndimage.gaussian_filter(rng.standard_normal(affinities.shape[1:], dtype=np.float32), 2)
        return noise / noise.std()

    common = field()
    return np.stack([8.0 * a - 4 + sigma * 0.7 * (common + field()) for a in affinities]).astype(np.float32)


def with_majority(fragments, truth):
    """Each fragment as the label it shares most voxels with: what no agglomeration can surpass."""
    table = contingency(fragments, truth)
    order = np.lexsort((table.counts, table.segment_ids))
    lookup = np.zeros(int(fragments.max()) + 1, np.uint64)
    lookup[table.segment_ids[order]] = table.truth_ids[order]
    return lookup[fragments]


@pytest.mark.parametrize(("kind", "parameters"), [("agglomerate", {"threshold": 0.75}), ("mutex", {"bias": 0.5})])
def test_ideal_affinities(neurons, kind, parameters):
    """Erosion takes 41 of 138 bodies and cuts necks: components of the eroded labels, grown, have a VOI of 0.31."""
    plan, labels, affinities = neurons
    stored = to_uint8(8.0 * affinities.astype(np.float32) - 4, plan.heads)
    scores = score(decode(stored, plan, DecoderChoice(kind=kind, parameters=parameters)), labels, kind="instances")
    assert scores["voi"] < 0.38
    assert scores["adapted_rand"] < 0.012


def test_fragments_of_a_noisy_map_hardly_cross_borders(neurons):
    plan, labels, affinities = neurons
    near = probabilities(to_uint8(noisy(affinities, 3.0), plan.heads), plan.heads)[:3]
    fragments = fragments_from_affinities(near, plan.working_voxel_size_nm, [0, 1, 2]).ids_zyx
    scores = score(with_majority(fragments, labels), labels, kind="instances")
    assert scores["voi"] < 0.25
    assert scores["adapted_rand"] < 0.01
    assert fragments.max() < 10_000


def test_a_noisy_map_is_still_segmented(neurons):
    plan, labels, affinities = neurons
    stored = to_uint8(noisy(affinities, 3.0), plan.heads)
    choice = DecoderChoice(kind="agglomerate", parameters={"threshold": 0.7, "min_size": 100})
    scores = score(decode(stored, plan, choice), labels, kind="instances")
    assert scores["voi"] < 0.6
    assert scores["adapted_rand"] < 0.03


@pytest.fixture(scope="module")
def made():
    """Plan, labels and a stored prediction of a part of the training volume that 64 does not divide: a map as noisy as above."""
    plan = make_plan(fingerprint(), CPU)
    with h5py.File(TRAIN) as file:
        labels = file["neuron_ids"][10:106, 20:150, 30:190]
    eroded = erode_borders(labels, plan.working_voxel_size_nm, plan.labels.erode_nm)
    return plan, labels, to_uint8(noisy(affinities_from_labels(eroded, plan.offsets), 3.0), plan.heads)


def test_agglomeration_does_not_depend_on_the_blocks(made, tmp_path):
    plan, labels, stored = made
    choice = DecoderChoice(kind="agglomerate", parameters={"threshold": 0.7})
    found = {"whole": decode(stored, plan, choice)}
    for name, block in (("64", (64, 64, 64)), ("other", (48, 130, 80))):
        found[name] = in_blocks(tmp_path / name, stored, plan, choice, block)
    for one, other in itertools.combinations(found, 2):
        assert score(found[one], found[other], kind="instances")["voi"] <= 0.02, (one, other)
    assert score(found["64"], labels, kind="instances")["voi"] < 0.6


@pytest.mark.parametrize("min_size", [0, 100])
def test_components_are_the_same_for_any_blocks(made, tmp_path, min_size):
    plan, _, stored = made
    choice = DecoderChoice(kind="components", parameters={"threshold": 0.9, "min_size": min_size})
    whole = decode(stored, plan, choice)
    assert whole.max() > 10
    for name, block in (("64", (64, 64, 64)), ("other", (48, 130, 80))):
        same(in_blocks(tmp_path / name, stored, plan, choice, block), whole)

"""Run lengths on held-out data: what is followed there, what is left out, and what they choose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from samples import FOREGROUND, small_plan

from pytc_auto.data.volumes import LabelledVolume, open_volumes
from pytc_auto.errors import PlanError
from pytc_auto.io.skeletons import read_skeletons
from pytc_auto.io.volume import ArrayVolume
from pytc_auto.pipeline.judging import _ground
from pytc_auto.pipeline.tuning import model_scores
from pytc_auto.pipeline.validation import HeldOut, division_of, mean_trials
from pytc_auto.schema.dataset import Dataset, VolumeEntry

SHAPE = (16, 18, 44)
SIZE = (12.0, 9.0, 8.0)
SLAB = 33
DECODER = {"kinds": ["components"], "grid": {"threshold": [0.3, 0.9]}, "metric": "nerl"}


def tubes():
    """Two tubes along x, each one object."""
    ids = np.zeros(SHAPE, np.uint16)
    ids[3:7, 3:7], ids[10:14, 10:14] = 5, 6
    return ids


def center_lines(tmp_path, ids, rows=((5, 5), (12, 12)), stop=SHAPE[2]):
    """One skeleton along each tube, down from a voxel of x; the first one leaves the slab and comes back beside itself."""
    folder = tmp_path / "swc"
    folder.mkdir(exist_ok=True)
    for number, (z, y) in enumerate(rows):
        there = [(z, y, x) for x in range(stop - 1, SLAB - 4, -1)]
        places = [*there, *((z, y - 1, x) for _, _, x in reversed(there))] if number == 0 else there
        lines = [
            f"{n} 0 {(x + 0.5) * 8} {(y + 0.5) * 9} {(z + 0.5) * 12} 1 {n - 1 or -1}" for n, (z, y, x) in enumerate(places, 1)
        ]
        (folder / f"{number}.swc").write_text("\n".join(lines))
    return read_skeletons(folder, ArrayVolume(ids, voxel_size_nm=SIZE, source="labels.h5"))


def volumes(ids, *skeletons):
    gray = ArrayVolume(np.zeros(SHAPE, np.uint8), voxel_size_nm=SIZE, source="image.h5")
    truth = ArrayVolume(ids, voxel_size_nm=SIZE, source="labels.h5")
    return [LabelledVolume(f"v{n}", gray, truth, skeletons=found) for n, found in enumerate(skeletons)]


def plan(**fields):
    return small_plan(voxel_size_nm=SIZE, heads=[FOREGROUND], **{"decoder": DECODER, **fields})


def held_out(made, opened):
    return HeldOut(made, opened, division_of(made, opened, 0).validation)


def stored(ids, link=()):
    """A sure prediction of the slab; ``link`` holds a bridge between the tubes that is less sure."""
    foreground = np.where(ids[..., SLAB:] > 0, 255, 0)
    if link:
        foreground[5:12, 5:12, 4] = np.maximum(foreground[5:12, 5:12, 4], 150)
    return foreground[None].astype(np.uint8)


def test_a_slab_is_followed_from_face_to_face(tmp_path):
    """The first skeleton has two pieces in the slab, which lie in one segment."""
    ids = tubes()
    held = held_out(plan(), volumes(ids, center_lines(tmp_path, ids)))
    lines = held.skeletons(0)
    length = (SHAPE[2] - 1 - SLAB) * 8.0
    assert lines.nodes_zyx.min() >= 0
    assert (lines.nodes_zyx < (16, 18, 11)).all()
    assert lines.lengths_nm == pytest.approx([length] * 3)
    assert lines.count == 2
    for trial in held.trials(stored(ids), 0, held.plan):
        assert (trial.merit, trial.scores["nerl"], trial.scores["skeleton_mergers"]) == (1, 1, 0)
        assert trial.scores["erl_nm"] == pytest.approx(np.square(lines.lengths_nm).sum() / lines.lengths_nm.sum())


def test_run_lengths_choose_the_decoder(tmp_path):
    """At the lower threshold a bridge merges the two tubes."""
    ids = tubes()
    held = held_out(plan(), volumes(ids, center_lines(tmp_path, ids)))
    low, high = held.trials(stored(ids, link=True), 0, held.plan)
    assert (low.merit, low.scores["nerl"], low.scores["skeleton_mergers"]) == (0, 0, 1)
    assert (high.merit, high.scores["skeleton_mergers"]) == (1, 0)
    found = model_scores(held.plan, {0: [low, high]})
    assert (found.metric, found.chosen, found.merge_thresholds) == ("nerl", 1, [0, 5, 20, 100])
    other = held_out(plan(decoder={**DECODER, "metric": "voi"}), volumes(ids, None))
    trials = other.trials(stored(ids), 0, other.plan)
    assert not any("nerl" in trial.scores for trial in trials)
    assert model_scores(other.plan, {0: trials}).merge_thresholds is None


def test_with_another_metric_run_lengths_are_told_all_the_same(tmp_path):
    ids = tubes()
    held = held_out(plan(decoder={**DECODER, "metric": "voi"}), volumes(ids, center_lines(tmp_path, ids), None))
    one, other = (held.trials(stored(ids), number, held.plan) for number in (0, 1))
    assert one[0].scores["nerl"] == 1
    assert one[0].merit == other[0].merit == -one[0].scores["voi"]
    assert "nerl" not in mean_trials([one, other])[0].scores


def test_a_region_without_a_skeleton_is_not_scored_by_run_lengths(tmp_path):
    ids = tubes()
    whole, short = center_lines(tmp_path, ids), center_lines(tmp_path, ids, stop=SLAB - 1)
    opened = volumes(ids, short, whole, None)
    made = plan()
    assert [region.volume for region in division_of(made, opened, 0).validation] == [1]
    assert len(division_of(made, opened, 0).training) == 3
    every = plan(decoder={**DECODER, "metric": "voi"})
    assert [region.volume for region in division_of(every, opened, 0).validation] == [0, 1, 2]
    with pytest.raises(PlanError, match=r"fold 0 holds out no piece of a skeleton.*folds\.axis=y, or with decoder\.metric=voi"):
        division_of(made, volumes(ids, short, None), 0)


def test_runs_with_other_skeletons_are_not_judged_alike(tmp_path):
    ids = tubes()
    lines = center_lines(tmp_path, ids)
    moved = replace(lines, nodes_zyx=lines.nodes_zyx + np.array([0, 1, 0]))
    for metric, alike in (("nerl", False), ("voi", True)):
        made = plan(decoder={**DECODER, "metric": metric})
        one, other = (_ground(held_out(made, volumes(ids, found)), 0, 0).hash for found in (lines, moved))
        assert (one == other) is alike


@pytest.mark.parametrize("task", ["neurons", "objects"])
def test_skeletons_come_with_the_volumes_of_neurons_on_the_working_grid(tmp_path, task):
    ids = tubes()
    lines = center_lines(tmp_path, ids)
    np.save(tmp_path / "image.npy", ids.astype(np.uint8))
    np.save(tmp_path / "labels.npy", ids)
    entry = VolumeEntry(
        name="a",
        image=str(tmp_path / "image.npy"),
        labels=str(tmp_path / "labels.npy"),
        voxel_size_nm=SIZE,
        axes="zyx",
        skeletons=str(tmp_path / "swc"),
        unlabeled_sections=[],
    )
    data = Dataset(root=str(tmp_path), task=None, unlabeled=[], class_names={}, volumes=[entry])
    (found,) = open_volumes(data, plan(task=task, working_scale=[1, 1, 2]), 0)
    if task == "objects":
        assert found.skeletons is None
        return
    np.testing.assert_array_equal(found.skeletons.nodes_zyx, lines.nodes_zyx // (1, 1, 2))
    np.testing.assert_array_equal(found.skeletons.nodes_nm, lines.nodes_nm)

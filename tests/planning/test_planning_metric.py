from __future__ import annotations

import pytest
from samples import fingerprint

from pytc_auto.errors import PlanError
from pytc_auto.planning.by_hand import read_overrides
from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.planner import make_plan
from pytc_auto.schema.fingerprint import SkeletonFacts


def plan(volumes=2, traced=2, task=None, overrides=(), **changes):
    facts = (
        None
        if traced is None
        else SkeletonFacts(volumes=traced, count=9, length_nm=None, total_length_nm=None, labelled_fraction=None)
    )
    found = fingerprint(volumes=volumes, **changes).replace(skeletons=facts)
    return make_plan(found, PRESETS["M"], task=task, by_hand=read_overrides(overrides))


def test_run_lengths_choose_where_all_labelled_volumes_have_skeletons():
    made = plan()
    assert made.decoder.metric == "nerl"
    why = made.why["decoder"]
    assert why.rule == "decoder.skeletons"
    assert (why.numbers["skeletons"], why.numbers["volumes_with_skeletons"], why.numbers["volumes_with_labels"]) == (9, 2, 2)
    other = plan(traced=None)
    assert (other.decoder.metric, other.why["decoder"].rule) == ("voi", "decoder.neurons")
    assert made.replace(decoder=other.decoder, why=other.why) == other


@pytest.mark.parametrize("traced", [0, 1])
def test_too_few_skeletons_choose_nothing_and_the_reason_is_told(traced):
    made = plan(traced=traced)
    assert (made.decoder.metric, made.why["decoder"].rule) == ("voi", "decoder.too_few_skeletons")
    assert made.why["decoder"].numbers["volumes_with_skeletons"] == traced


def test_other_tasks_go_on_as_they_were():
    assert plan(task="objects").decoder.metric == "ap"
    classes = {"kind": "classes", "values": {0: 0.5, 1: 0.5}}
    assert plan(task="classes", **classes).decoder.metric == "dice"


def test_by_hand():
    assert plan(overrides=["decoder.metric=voi"]).decoder.metric == "voi"
    assert plan(traced=1, overrides=["decoder.metric=nerl"]).decoder.metric == "nerl"
    with pytest.raises(PlanError, match=r"decoder\.metric is nerl, but the data have no skeletons .* skeletons/ beside"):
        plan(traced=None, overrides=["decoder.metric=nerl"])
    with pytest.raises(PlanError, match=r"decoder\.metric: nerl is of neurons with skeletons, .* Use dice"):
        plan(task="classes", kind="classes", values={0: 0.5, 1: 0.5}, overrides=["decoder.metric=nerl"])

from __future__ import annotations

from pytc_auto.pipeline.validation import Trial, best_of
from pytc_auto.schema.model import DecoderChoice


def trial(merit, kind="agglomerate", **parameters):
    return Trial(DecoderChoice(kind=kind, parameters=parameters), merit, {"voi": -merit})


def along(*merits, first=0.5, step=0.05, **others):
    """Trials whose threshold grows by a step."""
    return [trial(merit, threshold=round(first + i * step, 2), **others) for i, merit in enumerate(merits)]


def test_the_middle_of_a_plateau_is_chosen_not_the_best_at_its_edge():
    ramp = along(-0.90, -0.66, -0.64, -0.63, -0.63, -0.62, -1.20, -1.40)
    assert best_of(ramp) is ramp[3]  # the mean of five: 0.692, 0.636, 0.744 around 0.60, 0.65, 0.70
    assert best_of(ramp[::-1]) is ramp[3]


def test_a_peak_that_other_tissue_would_miss_loses():
    peak = along(-1.0, -0.9, -0.5, -1.2, -1.3)
    flat = [trial(-0.7, kind="mutex", bias=bias) for bias in (0.4, 0.5, 0.6)]
    assert best_of(peak + flat) in flat
    assert best_of(peak) is peak[0]  # 0.80 in the mean, the peak 0.98


def test_thresholds_farther_apart_than_a_tenth_do_not_speak_for_one_another():
    coarse = along(-1.0, -0.5, -1.2, first=0.3, step=0.2)
    assert best_of(coarse) is coarse[1]
    near = along(-1.0, -0.5, -1.2, first=0.3, step=0.1)
    assert best_of(near) is near[0]  # 0.75, 0.90, 0.85


def test_thresholds_count_together_sizes_and_kinds_apart():
    alone = trial(-0.6, threshold=0.5, min_size=400.0)
    beside = [trial(-0.5, threshold=0.5, min_size=0.0), trial(-0.9, threshold=0.55, min_size=0.0)]
    other = [trial(-0.1, kind="mutex", bias=0.5, min_size=400.0), trial(-2.0, kind="mutex", bias=0.6, min_size=400.0)]
    assert best_of([*beside, alone, *other]) is alone


def test_of_equal_plateaus_the_better_trial_is_chosen():
    flat = along(-0.7, -0.6)
    assert best_of(flat) is flat[1]


def test_classes_take_the_best():
    found = [trial(merit, kind="argmax", min_size=size) for merit, size in ((0.80, 0.0), (0.81, 50.0))]
    assert best_of(found) is found[1]

from __future__ import annotations

from pytc_auto.pipeline.validation import Trial, best_of
from pytc_auto.schema.model import DecoderChoice


def trial(merit, **scores):
    return Trial(DecoderChoice(kind="agglomerate", parameters={"threshold": abs(merit)}), merit, scores)


def test_of_nearly_equal_decoders_the_one_that_merges_least_is_chosen():
    best, safe, equal = trial(-1.0, voi_merge=0.5), trial(-1.04, voi_merge=0.3), trial(-1.02, voi_merge=0.3)
    worse = trial(-1.06, voi_merge=0.1)
    assert best_of([worse, safe, best]) is safe
    assert best_of([best, safe, equal, worse]) is equal


def test_a_perfect_decoder_has_no_near_ones():
    assert best_of([trial(-0.01, voi_merge=0.0), trial(0.0, voi_merge=0.2)]).merit == 0


def test_classes_take_the_best():
    assert best_of([trial(0.80, mean_dice=0.8), trial(0.81, mean_dice=0.81)]).merit == 0.81


def test_how_small_a_segment_may_be_is_chosen_by_merit():
    def sized(threshold, min_size, merit, voi_merge):
        choice = DecoderChoice(kind="agglomerate", parameters={"threshold": threshold, "min_size": min_size})
        return Trial(choice, merit, {"voi_merge": voi_merge})

    specks, clean = sized(0.6, 0, -0.73, 0.26), sized(0.6, 400, -0.72, 0.28)
    bold = [sized(0.65, 0, -0.721, 0.295), sized(0.65, 400, -0.715, 0.307)]
    far = sized(0.5, 400, -0.9, 0.2)
    assert best_of([specks, *bold, clean, far]) is clean
    assert best_of([specks, *bold, far]) is specks

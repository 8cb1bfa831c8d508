import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytc_auto.planning.budget import LEAST_VALIDATIONS, MOST_VALIDATIONS, REFIT_SHARE, _divided
from pytc_auto.planning.by_hand import ByHand


@settings(max_examples=200, deadline=None)
@given(
    steps=st.integers(300, 60000),
    validations=st.integers(LEAST_VALIDATIONS, MOST_VALIDATIONS),
    share=st.sampled_from([0.0, REFIT_SHARE]),
)
def test_fold_and_refit_use_all_steps(steps, validations, share):
    """Without a refit less than an interval is left over, which is less than a step a validation."""
    fold, refit, every = _divided(steps, share, validations, ByHand())
    assert fold == validations * every
    assert fold + refit == steps if share else steps - validations < fold <= steps
    assert refit == pytest.approx(share * steps, abs=validations + 1)


def test_what_is_given_by_hand_stays():
    assert _divided(1626, REFIT_SHARE, 3, ByHand({("sampling", "refit_steps"): 100})) == (1524, 100, 508)
    assert _divided(1626, REFIT_SHARE, 3, ByHand({("sampling", "steps"): 900})) == (900, 450, 300)

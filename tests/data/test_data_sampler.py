from itertools import chain

import pytest

from pytc_auto.data.sampler import Share, StepSampler


def epochs(sampler, numbers):
    got = []
    for number in numbers:
        sampler.set_epoch(number)
        got.append(list(sampler))
    return got


def test_epochs_follow_one_another():
    sampler = StepSampler(4, 40)
    assert list(sampler) == [0, 1, 2, 3]
    assert epochs(sampler, [0, 1, 2]) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert epochs(StepSampler(4, 40), [2]) == [[8, 9, 10, 11]]
    assert len(sampler) == 4


def test_a_run_that_was_stopped_between_epochs_goes_on():
    sampler = StepSampler(4, 40, first=8)
    assert list(sampler) == [8, 9, 10, 11]
    assert epochs(sampler, [2, 3]) == [[8, 9, 10, 11], [12, 13, 14, 15]]


def test_a_run_that_was_stopped_within_an_epoch_goes_on():
    sampler = StepSampler(4, 40, first=6)
    assert list(sampler) == [6, 7]
    assert epochs(sampler, [2, 3]) == [[6, 7], [8, 9, 10, 11]]
    assert len(sampler) == 4


def test_the_last_epoch_is_what_is_left():
    assert epochs(StepSampler(4, 10), range(4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], []]
    assert epochs(StepSampler(4, 10, first=4), [1, 2, 3]) == [[4, 5, 6, 7], [8, 9], []]
    assert list(StepSampler(4, 3)) == [0, 1, 2]
    assert len(StepSampler(4, 3)) == 3


@pytest.mark.parametrize(("batch", "first"), [(1, 0), (2, 0), (2, 12), (3, 18)])
def test_processes_see_together_the_batches_that_one_would_see(batch, first):
    """Batch k of N processes, one after another, is batch k of one process whose batches are N times as large."""
    processes, per_epoch, total = 3, 36, 90
    one = StepSampler(per_epoch, total, first=first)
    several = [StepSampler(per_epoch, total, first=first, share=Share(rank, processes, batch)) for rank in range(processes)]
    epochs_of_one = epochs(one, range(first // per_epoch, 3))
    epochs_of_several = list(zip(*(epochs(sampler, range(first // per_epoch, 3)) for sampler in several), strict=True))
    assert sum(map(len, epochs_of_one)) == total - first
    for whole, parts in zip(epochs_of_one, epochs_of_several, strict=True):
        batches = zip(*([part[i : i + batch] for i in range(0, len(part), batch)] for part in parts), strict=True)
        assert list(chain.from_iterable(chain.from_iterable(batches))) == whole
    assert all(len(sampler) == per_epoch // processes for sampler in several)

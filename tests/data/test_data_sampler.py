from pytc_auto.data.sampler import StepSampler


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

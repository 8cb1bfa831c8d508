from pytc_auto.data.sampler import StepSampler


def epochs(sampler, numbers):
    got = []
    for number in numbers:
        sampler.set_epoch(number)
        got.append(list(sampler))
    return got


def test_epochs_follow_one_another_and_the_last_is_shorter():
    sampler = StepSampler(4, 10)
    assert epochs(sampler, range(4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], []]
    assert len(sampler) == 0
    sampler.set_epoch(2)
    assert len(sampler) == 2


def test_a_run_that_was_stopped_within_an_epoch_goes_on():
    sampler = StepSampler(4, 10, first=6)
    assert epochs(sampler, [1, 2]) == [[6, 7], [8, 9]]
    sampler.set_epoch(1)
    assert len(sampler) == 4

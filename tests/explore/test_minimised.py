"""Failing schedules made small, where leaving decisions out is not enough."""

import pytest

from ftcheck import concurrently
from ftcheck.explore.search import Budget, search


class Numbered:
    """What it counts is set back by an update that is lost; between two countings much else is done."""

    last = 0

    def __init__(self):
        Numbered.last += 1
        self.number = Numbered.last
        for _ in range(60):
            self.number = self.number


def out_of_order():
    def four():
        numbers = [Numbered().number for _ in range(4)]
        assert numbers == sorted(numbers)

    concurrently(four, four)


@pytest.mark.parametrize("seed", [21, 24])
def test_two_preemptions_are_found_in_a_long_run(control, seed):
    """With these seeds the first failing schedule has eight or more, and leaving out one at a time ends at five and four."""
    found = search(control(limit=100_000), out_of_order, budget=Budget(schedules=2_000), seed=seed)
    assert found.failing.preemptions > 5
    assert found.minimised.schedule.preemptions == 2

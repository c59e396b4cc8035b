"""Failing schedules made small, where leaving decisions out is not enough."""

import random

from ftcheck import concurrently
from ftcheck.explore.control import Attempt, Log
from ftcheck.explore.knowledge import Knowledge
from ftcheck.explore.minimise import minimise
from ftcheck.explore.strategies.surw import Surw


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


def test_two_preemptions_are_found_in_a_long_run(control):
    """SURW fails with seven and more, in four of 1,500 runs; leaving out one at a time ends at three to eight."""
    entered, knowledge, strategy, dice = control(limit=100_000), Knowledge(), Surw(), random.Random(1)
    failing = []
    for number in range(1_500):
        attempt = strategy.next(knowledge, dice) if number else Attempt("plan", [])
        run = entered.run(out_of_order, attempt, Log.SWITCHES | Log.OPERATIONS)
        knowledge.note(run.decisions, run.steps, run.threads)
        if number < 5:
            knowledge.study()
        if run.failed:
            failing.append(run)
    assert failing
    assert min(run.preemptions for run in failing) > 5
    assert {minimise(entered, out_of_order, run).schedule.preemptions for run in failing} == {2}

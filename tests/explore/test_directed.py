"""Two strategies that do on purpose what chance does rarely: race-directed runs, and SURW with an order of its own."""

import random

from ftcheck import concurrently
from ftcheck.explore.control import Attempt, Log
from ftcheck.explore.knowledge import Knowledge
from ftcheck.explore.strategies.directed import Directed
from ftcheck.explore.strategies.surw import Surw


class Box:
    def __init__(self):
        self.first = self.second = 0


def writes(box):
    box.first = 1
    box.second = 1


def reads(box):
    return box.first, box.second


def readings(box, writers):
    got = []
    concurrently(*[lambda: writes(box)] * writers, lambda: got.append(reads(box)))
    return got[0]


def learned(control, program):
    """The control, and what one run without preemptions teaches."""
    entered, knowledge = control(), Knowledge()
    run = entered.run(program, Attempt("plan", []), Log.OPERATIONS)
    knowledge.note(run.decisions, run.steps, run.threads)
    knowledge.study()
    return entered, knowledge


def test_the_order_that_was_not_seen_is_brought_about(control):
    """Ten writers, and one reader that has to come between the two writes of the first of them: one run for each pair of
    places that meet, and it was there."""
    seen = []

    def program():
        seen.append(readings(Box(), writers=10))

    entered, knowledge = learned(control, program)
    assert seen == [(1, 1)]
    strategy, dice = Directed(), random.Random(1)
    new = sum(direction == 0 for direction in knowledge.meetings.values())
    for _ in range(new):
        entered.run(program, strategy.next(knowledge, dice))
    assert (1, 0) in seen


def test_a_pair_that_cannot_be_had_stops_nobody(control):
    """The second place is behind the first one in the same thread."""

    def program():
        box = Box()
        concurrently(lambda: writes(box), lambda: reads(box))

    entered, _ = learned(control, program)
    code = writes.__code__
    first, second = (offset for offset in offsets_of_writes(entered, program))
    run = entered.run(program, Attempt("race", (code, first, code, second)))
    assert (run.failure, run.ending.name) == (None, "COMPLETE")


def offsets_of_writes(entered, program):
    from ftcheck import _core

    entered.run(program, Attempt("plan", []), Log.OPERATIONS)
    return sorted({row[10] for row in _core.trace()[2] if row[9] is writes.__code__})


def test_each_direction_once_before_any_of_them_twice(control):
    def program():
        readings(Box(), writers=2)

    _, knowledge = learned(control, program)
    strategy, dice = Directed(), random.Random(1)
    attempts = [strategy.next(knowledge, dice).parameters for _ in range(len(knowledge.meetings))]
    assert sorted(map(repr, attempts)) == sorted(map(repr, knowledge.meetings))
    directions = [knowledge.meetings[one] for one in attempts]
    assert directions == sorted(directions)


def test_nothing_to_direct_where_nobody_meets(control):
    _, knowledge = learned(control, lambda: concurrently(lambda: None, lambda: None))
    assert Directed().next(knowledge, random.Random(1)) is None


def test_surw_tries_each_order_once(control):
    """Two threads, two operations each at one place: six orders in six runs."""

    def program():
        box = Box()
        concurrently(lambda: twice(box), lambda: twice(box))

    def twice(box):
        box.first = box.first

    entered, knowledge = learned(control, program)
    strategy, dice = Surw(), random.Random(1)
    orders = []
    for _ in range(6):
        attempt = strategy.next(knowledge, dice)
        orders.append(attempt.parameters[2])
        entered.run(program, attempt, Log.OPERATIONS)
        assert order_of_last_run(attempt.parameters[0]) == list(attempt.parameters[2])
    assert len(set(orders)) == 6
    assert strategy.next(knowledge, dice).parameters[2] in orders


def order_of_last_run(place):
    from ftcheck import _core

    return [row[0] for row in _core.trace()[2] if row[8] == place]

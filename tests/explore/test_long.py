"""Tests that are long, and tests that never end: the first are explored with fewer schedules, the others given up."""

import threading

import pytest

from ftcheck import concurrently
from ftcheck.explore.control import Attempt, Log
from ftcheck.explore.minimise import minimise
from ftcheck.explore.search import Budget, search

TIMES = 30_000


class Counter:
    def __init__(self, lock):
        self.value, self.lock = 0, lock

    def count(self):
        for _ in range(TIMES):
            with self.lock:
                self.value += 1

    def count_without(self):
        for _ in range(TIMES):
            self.value += 1


def counted(method):
    def program():
        counter = Counter(threading.Lock())
        concurrently(*[getattr(counter, method)] * 2)
        assert counter.value == 2 * TIMES

    return program


def test_a_bug_in_a_long_test_is_found_and_comes_back(control):
    entered, program = control(limit=100_000), counted("count_without")
    found = search(entered, program, budget=Budget(10), seed=1)
    assert isinstance(found.failing.failure, AssertionError)
    assert found.failing.steps > 100_000
    assert found.limit == "found"
    assert dict(found.endings) == {}
    small = found.minimised
    again = entered.run(program, Attempt("plan", small.schedule.to_core(), limit=10**6))
    assert isinstance(again.failure, AssertionError)
    assert (again.steps, again.schedule) == (small.run.steps, small.schedule)


def test_a_long_one_that_switches_often_is_made_small(control):
    entered, program = control(limit=10**6), counted("count_without")
    failing = entered.run(program, Attempt("pct", (20, 4 * TIMES), 3), Log.SWITCHES)
    assert isinstance(failing.failure, AssertionError)
    small = minimise(entered, program, failing)
    assert small.schedule.preemptions <= failing.preemptions
    assert small.runs < 1_000  # as many points as that, and not as many runs as a short one gets


def test_a_long_one_that_holds_is_run_less_often_and_that_is_said(control):
    found = search(control(limit=100_000), counted("count"), budget=Budget(400, points=2_000_000), seed=1)
    assert found.failing is None
    assert found.limit == "length"
    assert 2 <= found.schedules < 30
    assert dict(found.endings) == {}
    assert not found.complete


@pytest.mark.parametrize("depth", [2, 3])
def test_its_guarantee_counts_the_runs_that_were_made(control, depth):
    found = search(control(limit=100_000), counted("count"), budget=Budget(4), seed=depth)
    assert found.limit == "schedules"
    assert 0 < found.missing[depth] <= 1


def test_what_never_ends_is_given_up_each_time(control):
    def program():
        def forever():
            while True:
                forever.turns = 1

        concurrently(forever, forever)

    found = search(control(limit=1_000), program, budget=Budget(5), seed=1)
    assert dict(found.endings) == {"too long": 5}
    assert found.failing is None


@pytest.mark.parametrize(("points", "schedules"), [(1, 16), (10**6, 64)])
def test_so_many_runs_are_made_however_long_they_are(control, points, schedules):
    def program():
        counter = Counter(threading.Lock())

        def some():
            for _ in range(10):
                with counter.lock:
                    counter.value += 1

        concurrently(some, some)

    found = search(control(), program, budget=Budget(64, points=points, least=16), seed=1)
    assert found.schedules == schedules

"""Other users of the interpreter's events come and go while a test is explored, and no scheduling point is lost."""

import cProfile
import sys

import pytest

from ftcheck import concurrently
from ftcheck.explore.control import Attempt
from ftcheck.explore.search import Budget, search

EVENTS = sys.monitoring.events


class Counter:
    def __init__(self):
        self.value = 0

    def add(self):
        self.value += 1


def lost_update():
    counter = Counter()
    concurrently(counter.add, counter.add)
    assert counter.value == 2


def points(entered):
    return entered.run(lost_update, Attempt("plan", [])).steps


@pytest.fixture
def tool():
    number = next(number for number in (5, 2, 1) if sys.monitoring.get_tool(number) is None)
    sys.monitoring.use_tool_id(number, "another tool")
    yield number
    sys.monitoring.set_events(number, 0)
    sys.monitoring.free_tool_id(number)


@pytest.mark.parametrize(
    "events", [EVENTS.PY_START, EVENTS.PY_RETURN | EVENTS.CALL, EVENTS.LINE, EVENTS.INSTRUCTION], ids=bin
)
def test_a_tool_for_all_code_takes_no_points_away(control, tool, events):
    entered = control()
    before = points(entered)
    sys.monitoring.set_events(tool, events)
    among_others = points(entered)
    sys.monitoring.set_events(tool, 0)
    assert (among_others, points(entered)) == (before, before)
    assert before > 0


@pytest.mark.parametrize("events", [EVENTS.PY_START, EVENTS.LINE, EVENTS.INSTRUCTION], ids=bin)
def test_a_tool_for_the_code_under_test_takes_no_points_away(control, tool, events):
    """As coverage.py does it, at the first call of each function."""
    entered = control()
    before = points(entered)
    sys.monitoring.set_local_events(tool, Counter.add.__code__, events)
    among_others = points(entered)
    sys.monitoring.set_local_events(tool, Counter.add.__code__, 0)
    assert (among_others, points(entered)) == (before, before)


def profiled():
    with cProfile.Profile():
        lost_update()


def traced():
    sys.settrace(lambda *event: None)
    try:
        lost_update()
    finally:
        sys.settrace(None)


@pytest.mark.parametrize("program", [profiled, traced])
def test_what_is_profiled_or_traced_by_the_test_itself_is_explored(control, program):
    found = search(control(), program, budget=Budget(50), seed=1)
    assert isinstance(found.failing.failure, AssertionError)
    assert found.minimised.schedule.preemptions == 1

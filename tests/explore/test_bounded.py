"""Preemption bounding: what has at most so many preemptions was all run, though threads are stopped in few places only.

Brute force (:mod:`tests.explore.brute`) stops threads at every point. What it sees with at most so many preemptions the
strategy must have seen when it says so, for every program that is small enough; and nothing but that. (But brute force does
not stop a thread before it releases a lock; where that tells, the search tree of the core, which does, stands in for it.)
"""

import random

import pytest

from ftcheck import _core, concurrently
from ftcheck.explore.control import Attempt, Ending, Log
from ftcheck.explore.knowledge import Knowledge
from ftcheck.explore.scope import Scope
from ftcheck.explore.search import Budget, search
from ftcheck.explore.strategies.bounded import Bounded
from tests.explore import brute, small, small_sync
from tests.explore.conftest import outcome, program_scope
from tests.explore.search import settle
from tests.explore.test_systematic import ALL, BY_ADDRESS, TOO_LONG, module_of

LIMIT = 3_000
"""Points of a run."""
ENUMERABLE = 1_500
"""Runs of brute force."""
MOST = 3
"""Preemptions."""
NAMES = [name for name in ALL if name.partition("/")[2] not in TOO_LONG | BY_ADDRESS]
SMALL = [(module, name) for module in (small, small_sync) for name in module.PROGRAMS]
COMPARED = {0: 135, 1: 128, 2: 101, 3: 89}
"""How many of ``NAMES`` were compared with brute force, by the number of preemptions."""


def recording(program):
    """The program, and a function that says what a run of it came to."""
    returned = []

    def body():
        returned.append(program())

    def seen(run):
        text = repr(returned)
        returned.clear()
        return (*outcome(run), text)

    return body, seen


def bounded(entered, program, most=MOST):
    """What the strategy has seen with at most 0, 1, 2, ... preemptions, as a list of sets."""
    _core.cool()
    body, seen = recording(program)
    strategy, knowledge, dice = Bounded(), Knowledge(), random.Random(0)
    known = [set()]
    while (attempt := strategy.next(knowledge, dice)) is not None:
        if strategy.within(knowledge) < 0 and len(known) > 1:
            known = [set()]  # it has begun again
        run = entered.run(body, attempt, Log.OPERATIONS)
        assert run.ending in (Ending.COMPLETE, Ending.DEADLOCK)
        assert run.preemptions < len(known)
        known[-1].add(seen(run))
        knowledge.study()
        strategy.learn(run)
        if strategy.within(knowledge) == len(known) - 1:
            if len(known) > most:
                return known
            known.append(set())
    known.pop()
    return known + known[-1:] * (most + 1 - len(known))  # more preemptions make no difference


def by_force(entered, program, preemptions):
    """The same by brute force; None where there are too many schedules."""
    body, seen = recording(program)
    found = set()
    for one in brute.schedules(entered, body, preemptions, ENUMERABLE):
        if one is None:
            return None
        found.add(seen(one[0]))
    return found


def compared(entered, program):
    """For so many bounds, from 0 on, both were compared."""
    settle(entered, program)
    expected = []
    while len(expected) <= MOST and (found := by_force(entered, program, len(expected))) is not None:
        expected.append(found)
    if not expected:
        return 0
    seen = bounded(entered, program, len(expected) - 1)
    if seen != expected:
        assert all(brute <= mine for brute, mine in zip(expected, seen, strict=True))
        assert seen == [everywhere(entered, program, bound) for bound in range(len(expected))]
    return len(expected)


def everywhere(entered, program, bound):
    """What the tree of the core sees that stops threads at every point."""
    body, seen = recording(program)
    _core.tree_reset(bound, False)
    found, more = set(), True
    while more:
        found.add(seen(entered.run(body, Attempt("bounded"))))
        more = _core.tree_advance()
    return found


@pytest.fixture(scope="module")
def counts():
    return {}


@pytest.mark.parametrize("name", NAMES)
def test_it_has_seen_what_it_says(control, quiet_threads, counts, name):
    module = module_of(name)
    counts[name] = compared(control(program_scope(module), limit=LIMIT), module.program)


def test_so_many_were_compared(counts):
    if len(counts) != len(NAMES):
        pytest.skip("only some of the programs were compared in this process: -k, -n")
    assert {bound: sum(count > bound for count in counts.values()) for bound in COMPARED} == COMPARED


@pytest.mark.parametrize(("module", "name"), SMALL)
def test_of_each_way_to_tell_the_order(control, quiet_threads, module, name):
    assert compared(control(Scope([module.__file__]), limit=LIMIT), module.PROGRAMS[name])


# --- as part of the search ---------------------------------------------------------------------------------------------


class Box:
    value = 0


def many_pairs(count=7):
    """More interleavings than anybody wants to run, and few with one preemption."""
    box = Box()

    def one():
        for _ in range(count):
            box.value = box.value + 1

    concurrently(one, one)
    assert count <= box.value + count - 2


def sometimes_long():
    many_pairs()
    box = Box()

    def write():
        box.value = 1
        box.value = 0

    def read():
        if box.value:
            for _ in range(1_000):
                assert box.value in (0, 1)

    concurrently(write, read)


def test_the_coverage_says_it(control):
    found = search(control(), many_pairs, budget=Budget(400), seed=1)
    assert found.failing is None
    assert (found.limit, found.within) == ("schedules", 1)
    assert found.by_strategy["preemption bounding"] > 20


def test_not_if_a_run_ended_at_a_limit(control):
    found = search(control(limit=500), sometimes_long, budget=Budget(400), seed=1)
    assert found.endings
    assert found.within == -1


LEFT = []


def leaves_something():
    LEFT.append(1)
    many_pairs()


def leaves_a_way():
    LEFT.append(1)
    many_pairs(7 if len(LEFT) > 1 else 6)


@pytest.mark.parametrize(("program", "within"), [(leaves_something, 1), (leaves_a_way, -1)])
def test_not_if_an_earlier_run_has_left_something_that_matters(control, program, within):
    LEFT.clear()
    assert search(control(), program, budget=Budget(400), seed=1).within == within


def test_another_conflict_and_it_begins_again(control):
    """What one preemption shows is stopped at as well: the claim of before is not made any more."""
    strategy, knowledge = Bounded(), Knowledge()
    assert strategy.next(knowledge, random.Random(0)) is not None
    assert strategy.within(knowledge) == -1
    strategy._within = 1
    assert strategy.within(knowledge) == 1
    knowledge.conflicts.add(frozenset({(None, 0)}))
    assert strategy.within(knowledge) == -1
    strategy.next(knowledge, random.Random(0))
    assert strategy.within(knowledge) == -1

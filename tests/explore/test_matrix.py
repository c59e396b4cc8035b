"""Every strategy, every order of the threads, every program: against the folder, and against brute force.

*Never a false alarm.* No program of ``holds`` fails, deadlocks or is given up in 1,000 schedules of each strategy, in the
order of its bodies and in the reverse one. (Of those with loops of many thousand accesses 20 schedules of POS, of one 2.)

*Nothing that there is not.* What a strategy sees of a program is among the outcomes that brute force
(:mod:`tests.explore.brute`) sees of it, whatever the order of the bodies; and the verdict of a whole search is that of the
folder, for every order.

Completeness is the systematic search's business: :mod:`tests.explore.test_systematic` compares it with brute force and with
random schedules, outcome by outcome and trace by trace.
"""

import itertools

import pytest

from ftcheck.explore.control import Attempt
from ftcheck.explore.search import Budget, search
from tests.explore import brute
from tests.explore.conftest import PROGRAMS, attempts, outcome, program_scope, reordered
from tests.explore.replays import FAILS, LONG
from tests.explore.test_systematic import BY_ADDRESS, module_of, number_of_bodies

HOLDS = sorted(path.stem for path in (PROGRAMS / "holds").glob("*.py"))
SAMPLERS = ("walk", "lazy walk", "pct", "pos", "surw")
SCHEDULES = 1_000
"""Of each strategy; half of them in the reverse order of the bodies."""
LONG_SCHEDULES = 20
LONGEST = {"iterate_while_mutating"}
"""17 million points, so two schedules."""
LIMIT = 5_000
ENUMERABLE = 1_500
"""Runs of brute force."""
ORDERS = 6
"""At most so many orders of the bodies: all, of three."""


def orders(entered, program):
    bodies = number_of_bodies(entered, program)
    return list(itertools.islice(itertools.permutations(range(bodies)), ORDERS))


@pytest.mark.parametrize("name", HOLDS)
def test_what_holds_never_fails(control, quiet_threads, name):
    module = module_of(f"holds/{name}")
    long = name in LONG
    entered = control(program_scope(module), limit=10**8 if long else LIMIT)
    bodies = number_of_bodies(entered, module.program)
    schedules = 2 if name in LONGEST else LONG_SCHEDULES if long else SCHEDULES
    seen = set()
    for program in (module.program, reordered(module.program, tuple(reversed(range(bodies))))):
        make = (lambda policy, seed: Attempt(policy, None, seed)) if long else attempts(entered, program)
        for policy in ("pos",) if long else SAMPLERS:
            for seed in range(1, schedules // 2 + 1):
                seen.add(outcome(entered.run(program, make(policy, seed))))
    assert seen == {("COMPLETE", ())}


@pytest.mark.parametrize("name", sorted(set(FAILS) - LONG))
def test_every_order_of_the_threads_comes_to_the_same_verdict(control, quiet_threads, name):
    """By the whole search, with its default strategies: the bug is found."""
    module = module_of(f"fails/{name}")
    entered = control(program_scope(module), limit=LIMIT)
    for number, order in enumerate(orders(entered, module.program)):
        found = search(entered, reordered(module.program, order), budget=Budget(10_000, minimising=0), seed=number)
        assert found.failing is not None, order


def everything(entered, program):
    """The outcomes that brute force sees, or None: there is too much."""
    seen = set()
    for one in brute.schedules(entered, program, 99, ENUMERABLE):
        if one is None:
            return None
        seen.add(outcome(one[0]))
    return seen


ENUMERATED = 25
"""So many programs have so few schedules; checked below, so that it cannot become fewer unnoticed."""


@pytest.fixture(scope="module")
def enumerated():
    return []


@pytest.mark.parametrize("name", sorted(set(FAILS) - LONG - BY_ADDRESS))
def test_every_strategy_sees_what_brute_force_sees(control, quiet_threads, enumerated, name):
    """Not less either: where there are so few schedules, 100 of all strategies together see every outcome."""
    module = module_of(f"fails/{name}")
    entered = control(program_scope(module), limit=LIMIT)
    expected = everything(entered, module.program)
    if expected is None:
        return
    enumerated.append(name)
    for order in orders(entered, module.program):
        program = reordered(module.program, order)
        assert everything(entered, program) == expected, order
        make, together = attempts(entered, program), set()
        for policy in SAMPLERS:
            seen = {outcome(entered.run(program, make(policy, seed))) for seed in range(20)}
            assert seen <= expected, (order, policy)
            together |= seen
        assert together == expected, order


def test_so_many_programs_were_enumerated(enumerated):
    assert len(enumerated) == ENUMERATED

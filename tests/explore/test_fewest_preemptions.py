"""What is made small has the fewest preemptions that there are: brute force finds no schedule with fewer that fails so.

Brute force is :mod:`tests.explore.brute`, which shares nothing with the product's search but the running of one schedule.
"""

import pytest

from ftcheck.explore.minimise import identity
from ftcheck.explore.search import Budget, search
from tests.explore import brute
from tests.explore.conftest import program_scope
from tests.explore.replays import FAILS, LONG
from tests.explore.test_systematic import module_of

SEEDS = (1, 2, 3)
"""Of the search: each comes upon another failing schedule, with other preemptions."""
ENUMERABLE = 1_500
"""Runs of brute force."""
TOO_MANY = {
    "publish_too_early": "it waits in a loop: at each turn the other thread may come, or not",
    "reorder_10": "11 threads, which may come in 11! orders without any preemption",
    "reorder_20": "21 threads",
    "twostage_20": "21 threads",
    "wronglock": "8 threads",
}
"""More schedules than that have fewer preemptions than what at least one of the searches came to."""


def searched(entered, program, seed):
    found = search(entered, program, budget=Budget(10_000), seed=seed)
    assert found.minimised is not None, found.differed
    return found.minimised


def fewest(entered, program, small):
    """The fewest preemptions below those of ``small`` with which it fails in the same way; None if it does not.

    :raises OverflowError: there are too many schedules.
    """
    wanted = identity(small.run)
    for one in brute.schedules(entered, program, small.schedule.preemptions - 1, ENUMERABLE):
        if one is None:
            raise OverflowError
        run, preemptions = one
        assert run.preemptions == preemptions
        if identity(run) == wanted:
            return preemptions
    return None


@pytest.mark.parametrize("name", sorted(set(FAILS) - LONG))
def test_no_schedule_with_fewer_preemptions_fails_in_this_way(control, quiet_threads, name):
    module = module_of(f"fails/{name}")
    entered, overflown = control(program_scope(module), limit=3_000), False
    for seed in SEEDS if name not in TOO_MANY else SEEDS[:1]:
        small = searched(entered, module.program, seed)
        assert small.run.preemptions == small.schedule.preemptions
        if small.schedule.preemptions == 0:
            assert small.proved
            continue
        try:
            assert fewest(entered, module.program, small) is None, small.schedule
            assert small.proved
        except OverflowError:
            overflown = True
    assert overflown == (name in TOO_MANY)


def test_the_lists_name_programs():
    assert set(FAILS) >= TOO_MANY.keys() | LONG
    assert not TOO_MANY.keys() & LONG


def test_brute_force_runs_every_schedule_once(control):
    """As many as there are orders of the operations: two threads with two reads or writes each, and their beginnings."""
    module = module_of("fails/increment_attribute")
    entered = control(program_scope(module), limit=3_000)
    seen = [str(run.schedule) for run, _ in brute.schedules(entered, module.program, 99, ENUMERABLE)]
    assert len(seen) == len(set(seen))
    assert len([text for text in seen if text.count("p") == 0]) == 2

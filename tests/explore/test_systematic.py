"""Systematic search is sound: with reduction it sees all that brute force sees, whatever the order of the threads.

Two programs' worth of evidence for each program of ``tests/programs``: where brute force comes to an end, what both see is
compared exactly; everywhere else, all that random schedules see must have been seen by the search with reduction. What is
compared are outcomes and Mazurkiewicz traces (:mod:`tests.explore.traces`), of which every one must be run just once.
"""

import functools
import importlib
import itertools
import types

import pytest

from ftcheck import workload
from ftcheck.explore.control import Attempt
from ftcheck.explore.scope import Scope
from tests.explore import small, small_detours, small_sync, small_time
from tests.explore.conftest import PROGRAMS, program_scope, reordered
from tests.explore.search import sample, search

LIMIT = 3_000
"""Points: more than any program here needs."""
ENUMERABLE = 250
"""Runs of brute force."""
SAMPLED = 60
"""Random schedules where brute force does not come to its end."""
REDUCIBLE = 400
"""Runs of a search with reduction."""

TOO_LONG = {
    "check_then_pop", "iterate_while_mutating", "lost_update_attribute", "lost_update_global", "lost_update_list_item",
    "queue_sctbench", "shared_generator", "shared_iterator", "stack_sctbench", "torn_pair",
}  # fmt: skip
"""With loops of hundreds of accesses."""
TOO_MANY = {
    "circular_buffer", "hand_made_barrier", "if_instead_of_while", "interlocked_work_steal_queue",
    "notify_wrong_waiter", "queue_one_sentinel", "reorder_10", "reorder_20", "reorder_4", "reorder_5",
    "semaphore_too_many", "twostage_20", "work_steal_queue", "wronglock",
}  # fmt: skip
"""Some twin of these has more traces than can be gone through here."""
BY_ADDRESS = {"executor_lost_update"}
"""An executor joins its threads in the order of a set, which goes by their addresses: no two runs are quite the same."""
ALL = [
    f"{path.parent.name}/{path.stem}" for folder in ("fails", "holds") for path in sorted((PROGRAMS / folder).glob("*.py"))
]
EVERY = [name for name in ALL if name.partition("/")[2] not in TOO_LONG | TOO_MANY | BY_ADDRESS]

SPINNING = {"publish_too_early"}
"""Random schedules go round their loops more often; they are compared in :mod:`tests.explore.test_waiting`."""
RECYCLING = {"holds/aba_stack"}
"""Objects that are made anew where others were: by their addresses, operations seem dependent that are not."""

REDUCED_TO = {
    "deadlock01": 3, "twostage": 3, "carter01": 4, "account": 6, "token_ring": 24, "stringbuffer": 6,
}  # fmt: skip
"""Traces of the programs of SCTBench at the granularity of shared reads, writes and locks, counted with a model of them in
another language: by brute force and by source-DPOR."""


ENUMERATED = [
    "fails/check_then_delete", "fails/deadlock01", "fails/increment_attribute", "fails/iterate_while_adding",
    "fails/join_under_lock", "fails/max_seen", "fails/wait_without_predicate", "holds/lazy_init",
]  # fmt: skip
"""A few of those with less than 1,000 interleavings."""

SMALL = (small, small_detours, small_sync, small_time)


def module_of(name):
    return importlib.import_module("tests.programs." + name.replace("/", "."))


@pytest.fixture
def on(control, quiet_threads):
    """A program's ``program()``, with a control of its code alone."""

    def enter(name):
        module = module_of(name)
        return control(program_scope(module), limit=LIMIT), module.program

    return enter


def reduced(entered, program):
    found = search(entered, program, reduce=True, limit=REDUCIBLE)
    assert found.ended, f"more than {REDUCIBLE} runs"
    return found


def check_reduction(entered, program, traces=True):
    found = reduced(entered, program)
    everything = search(entered, program, reduce=False, limit=ENUMERABLE, traces=None).ended
    again = (
        functools.partial(search, reduce=False, limit=ENUMERABLE) if everything else functools.partial(sample, count=SAMPLED)
    )
    seen = again(entered, program)
    assert set(seen.outcomes) - set(found.outcomes) == set()
    assert not everything or set(found.outcomes) - set(seen.outcomes) == set()
    if traces:
        assert len(set(seen.traces) - set(found.traces)) == 0
        assert not everything or len(found.traces) == len(seen.traces)
        assert set(found.traces.values()) == {1}  # sleep sets leave no trace to be run twice


@pytest.mark.parametrize("name", EVERY)
def test_reduction_loses_nothing(on, name):
    check_reduction(*on(name), traces=name not in RECYCLING and name.partition("/")[2] not in SPINNING)


@pytest.mark.parametrize("name", [name for module in SMALL for name in module.PROGRAMS])
def test_reduction_loses_no_way_to_tell_the_order(control, name):
    module = next(one for one in SMALL if name in one.PROGRAMS)
    check_reduction(control(Scope([module.__file__]), limit=LIMIT), module.PROGRAMS[name])


@pytest.mark.parametrize("name", EVERY)
def test_the_order_of_the_threads_does_not_matter(on, name):
    """The worst that the peers do: a verdict that depends on which body is named first."""
    entered, program = on(name)
    bodies = number_of_bodies(entered, program)
    found = reduced(entered, program)
    for order in itertools.islice(itertools.permutations(range(bodies)), 1, 4 if found.runs < 50 else 2):
        other = reduced(entered, reordered(program, order))
        assert set(other.outcomes) == set(found.outcomes), order
        assert len(other.traces) == len(found.traces), order


def number_of_bodies(entered, program):
    """Of its first call of ``concurrently()``; 0 where it has none."""
    counts = []

    def run():
        inner = workload.supervisor.get()
        workload.supervisor.set(
            types.SimpleNamespace(run_bodies=lambda bodies: counts.append(len(bodies)) or inner.run_bodies(bodies))
        )
        program()

    entered.run(run, Attempt("plan", []))
    return counts[0] if counts else 0


@pytest.mark.parametrize("name", REDUCED_TO)
def test_published_numbers_of_traces(on, name):
    found = reduced(*on(f"fails/{name}"))
    assert (found.runs, len(found.traces)) == (REDUCED_TO[name], REDUCED_TO[name])


@pytest.mark.parametrize("name", ENUMERATED)
def test_bounds_on_preemptions(on, name):
    """With at most N preemptions: exactly those of all runs that have so few."""
    entered, program = on(name)
    everything = search(entered, program, reduce=False, limit=1_000, traces=None)
    assert everything.ended
    seen = set()
    for bound in (0, 1, 2):
        found = search(entered, program, reduce=False, bound=bound, limit=1_000, traces=None)
        assert found.ended
        assert found.preemptions == {n: runs for n, runs in everything.preemptions.items() if n <= bound}
        assert seen <= set(found.outcomes) <= set(everything.outcomes)
        seen = set(found.outcomes)


@pytest.mark.parametrize("name", ["fails/reorder_3", "fails/account", "fails/carter01"])
def test_a_few_preemptions_find_the_bug(on, name):
    entered, program = on(name)
    found = search(entered, program, reduce=False, bound=1, limit=5_000, traces=None)
    assert found.ended
    assert len(found.outcomes) == 2  # it holds, or it fails in its one way


def test_the_lists_name_programs():
    names = {name.partition("/")[2] for name in ALL}
    assert TOO_LONG | TOO_MANY | BY_ADDRESS | set(REDUCED_TO) <= names
    assert set(ENUMERATED) <= set(EVERY)


@pytest.mark.parametrize("name", sorted(TOO_LONG))
def test_what_is_too_long_is(on, name):
    entered, program = on(f"fails/{name}")
    assert entered.run(program, Attempt("plan", [])).steps > 150


@pytest.mark.parametrize("name", sorted(TOO_MANY))
def test_what_is_too_many_is(on, name):
    """And not even so is anything seen that was not to be: what is seen has its place in the folder."""
    runs = []
    for folder in ("fails", "holds"):
        entered, program = on(f"{folder}/{name}")
        found = search(entered, program, reduce=True, limit=REDUCIBLE + 1, traces=None)
        runs.append(found.runs)
    assert {kinds for _, kinds, _ in found.outcomes} == {()}
    assert max(runs) > REDUCIBLE

"""Programs under control: one schedule, many schedules of every policy, or all there are; and nothing is left behind.

Every policy draws from a seed, so each of these tests is deterministic: a schedule that fails here fails always.
"""

import _queue
import _thread
import collections
import contextlib
import ctypes
import gc
import itertools
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from ftcheck import _core, workload
from ftcheck.explore.control import Attempt, Control, Ending, Log
from ftcheck.explore.knowledge import Knowledge
from ftcheck.explore.scope import Scope

TESTS = Path(__file__).parents[1]
PROGRAMS = TESTS / "programs"
CHANCE = ("walk", "lazy walk", "pct", "pos", "surw")
"""Every one of these comes upon every interleaving some time; race-directed runs do not."""
POLICIES = ("plan", *CHANCE, "race")
"""``walk`` decides at every point, ``lazy walk`` at one in ten."""
NOTHING, READ, WRITE, ACQUIRE, RELEASE, START, JOIN, BEGIN, END, SLEEP, PUT, GET, TRY, OUT, LOOK, CLOCK = range(16)
"""``enum ftc_kind`` in ``_core/sched.h``."""


@pytest.fixture(autouse=True)
def _restored(leaves_nothing_behind):
    """After each test here the interpreter is as it was, whatever became of its runs."""
    before = state_of_the_process()
    yield
    assert state_of_the_process() == before


@pytest.fixture(scope="module", autouse=True)
def _nothing_old_is_collected():
    """Each control collects once: let that not go through all that the session holds."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def state_of_the_process():
    """All that control replaces: methods of types, the C functions behind builtins, affinity, the collector, monitoring."""
    address_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object)(("PyCFunction_GetFunction", ctypes.pythonapi))
    clocks = ("sleep", "monotonic", "monotonic_ns", "time", "time_ns", "perf_counter", "perf_counter_ns")
    starters = ("start_joinable_thread", "start_new_thread")
    controlled = ("acquire", "release", "__enter__", "__exit__", "_acquire_restore", "_release_save")
    return {
        "methods": [vars(kind).get(name) for kind in (_thread.lock, _thread.RLock) for name in controlled]
        + [vars(_queue.SimpleQueue)[name] for name in ("put", "put_nowait", "get", "get_nowait")]
        + [vars(_thread._ThreadHandle)["join"]],
        "functions": [address_of(getattr(time, name)) for name in clocks]
        + [address_of(getattr(_thread, name)) for name in starters],
        "affinity": os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None,
        "collecting": gc.isenabled(),
        "tools": [sys.monitoring.get_tool(number) for number in range(6)],
    }


def program_scope(module):
    """The code of one of ``tests/programs`` alone: no other program's names make points in it."""
    return Scope([module.__file__, str(PROGRAMS / "families") + os.sep])


@pytest.fixture
def control(request):
    """Enters a :class:`Control`, of the test's own file unless told otherwise; leaves the one it entered before."""
    with contextlib.ExitStack() as stack:
        last = []

        def enter(scope=None, *, limit=20_000, **options):
            _core.cool()  # what one test's runs have taught is not to change those of another one
            if last and last[0] == (scope, limit, options):
                return last[1]
            stack.close()
            last[:] = (scope, limit, options), None
            last[1] = stack.enter_context(Control(scope or Scope([str(request.path)]), limit=limit, **options))
            return last[1]

        yield enter


@pytest.fixture
def explore(control):
    """Runs a program under many schedules of each policy, with the same seeds always; gives the runs."""

    def run(program, policies=POLICIES, *, schedules=20, **options):
        entered = control(**options)
        runs = [entered.run(program, Attempt("plan", []))] if "plan" in policies else []
        attempt = attempts(entered, program)
        seeded = itertools.product([policy for policy in policies if policy != "plan"], range(1, schedules + 1))
        return runs + [entered.run(program, attempt(policy, seed)) for policy, seed in seeded]

    return run


@pytest.fixture
def holds(explore):
    """Runs a program under many schedules of every policy; none may fail, or be given up."""

    def check(program, *, schedules=20, **options):
        runs = explore(program, schedules=schedules, **options)
        for run in runs:
            if run.failure is not None:
                raise run.failure
        assert collections.Counter(run.ending for run in runs) == {Ending.COMPLETE: len(runs)}
        return runs

    return check


def attempts(control, program):
    """From a policy's name and a seed to an :class:`Attempt`; two runs are for what some of them need to know."""
    plain = control.run(program, Attempt("plan", []))
    profile = control.run(program, Attempt("walk", 1.0, 99), Log.OPERATIONS)
    places, everything = places_and_counts()
    knowledge = Knowledge()
    knowledge.study()
    meetings = list(knowledge.meetings)

    def attempt(policy, seed):
        if policy == "walk":
            return Attempt("walk", 1.0, seed)
        if policy == "lazy walk":
            return Attempt("walk", 0.1, seed)
        if policy == "pct":
            return Attempt("pct", (3, max(plain.decisions, profile.decisions, 1)), seed)
        if policy == "surw":
            return Attempt("surw", (*places[seed % len(places)], b"") if places else (0, everything, b""), seed)
        if policy == "race":
            return Attempt("race", meetings[seed % len(meetings)], seed) if meetings else Attempt("plan", [])
        return Attempt(policy, None, seed)

    return attempt


def places_and_counts():
    """Parameters for SURW, from the log of the last run: each place that several threads came to, and how often each did."""
    by_place, everything = collections.defaultdict(collections.Counter), collections.Counter()
    for thread, _, kind, _, _, _, _, _, place, *_ in _core.trace()[2]:
        if kind in (READ, WRITE, ACQUIRE):
            by_place[place][thread] += 1
            everything[thread] += 1

    def as_list(counts):
        return [counts[thread] for thread in range(max(counts, default=0) + 1)]

    shared = sorted((sum(counts.values()), as_list(counts), place) for place, counts in by_place.items() if len(counts) > 1)
    return [(place, counts) for _, counts, place in shared], as_list(everything)


class Reordered:
    """A supervisor that has the bodies run in another order; what each raises keeps the number it would have had.

    :param order: ``order[i]`` is the number of the body that becomes the i-th thread. Shorter or longer calls of
        ``concurrently()`` are left alone.
    """

    def __init__(self, inner, order):
        self.inner, self.order = inner, order

    def run_bodies(self, bodies):
        if len(bodies) != len(self.order):
            return self.inner.run_bodies(bodies)
        raised = self.inner.run_bodies([bodies[number] for number in self.order])
        return sorted((self.order[place], failure) for place, failure in raised)


def reordered(program, order):
    """The program with the bodies of ``concurrently()`` in another order."""

    def run():
        workload.supervisor.set(Reordered(workload.supervisor.get(), order))
        program()

    return run


def outcome(run):
    """How a run ended and what it raised: the types, those inside of groups as well."""
    return (run.ending.name, kinds_of(run.failure))


def kinds_of(failure):
    if isinstance(failure, BaseExceptionGroup):
        return (type(failure).__name__, *sorted(map(kinds_of, failure.exceptions), key=repr))
    return () if failure is None else (type(failure).__name__,)


@pytest.fixture
def quiet_threads(monkeypatch):
    """What threads of the code under test die of is not printed."""
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)

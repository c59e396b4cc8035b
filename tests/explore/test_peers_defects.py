"""What the other explorers for Python get wrong, as tests: each row was seen by running them.

==========================================================  ==============================================================
defect                                                      tests
==========================================================  ==============================================================
a pass, or a failure, by the order of the workers;          test_the_verdict_does_not_depend_on_the_order_of_the_bodies,
partial-order reduction that takes a release for the        test_every_order_finds_what_a_waiting_thread_sees; for all
order of two acquisitions, and never reverses them          programs: test_matrix.py, test_systematic.py
a bound on preemptions together with reduction misses a     test_a_bound_loses_nothing_within_it
bug within the bound
a search that was cut short is a pass                       test_a_search_that_was_cut_short_is_not_complete
a lost wake-up is a pass, or a timeout                      test_a_lost_wakeup_is_a_deadlock
what a thread raises comes out of the explorer itself       test_what_a_thread_raises_is_a_finding
threads that the code starts are not seen                   test_threads_of_its_own_are_explored
Condition, Barrier, Queue: inconclusive                     test_what_blocks_in_the_standard_library_is_explored
a deadlock told by addresses                                test_a_deadlock_names_locks_and_lines
a lock made before the run, or imported by name, is         test_locks_from_before_the_run, test_an_imported_lock;
waited for in real time: "hang"                             test_primitives_locks.py
a correct loop that waits is a hang                         test_a_loop_that_waits_ends_in_every_strategy; test_spinning.py
a slow machine is a hang                                    test_time_that_others_take_does_not_matter
current_thread(), Timer, Thread subclasses break            test_threads_know_themselves; test_primitives_threads.py
==========================================================  ==============================================================
"""

import collections
import importlib
import itertools
import threading
import time
from threading import Lock

import pytest

from ftcheck import concurrently
from ftcheck.explore.control import Attempt, Ending
from ftcheck.explore.minimise import Minimised
from ftcheck.explore.scope import Scope
from ftcheck.explore.search import Budget, search
from ftcheck.narrative import Did
from tests.explore.conftest import POLICIES, program_scope, reordered
from tests.report import stories

BEFORE = threading.Lock()
"""Made when this module is imported: before any run."""


def explored(entered, program, schedules=5_000, seed=1, **budget):
    return search(entered, program, budget=Budget(schedules, **budget), seed=seed)


@pytest.fixture
def of(control, quiet_threads):
    """A program of ``tests/programs``, and a control of its code."""

    def enter(name):
        module = importlib.import_module("tests.programs." + name.replace("/", "."))
        return control(program_scope(module)), module.program

    return enter


class Box:
    def __init__(self, **attributes):
        vars(self).update(attributes)


def half_seen():
    """``b`` changes after the lock was given back: who looks under the lock in between sees half of it."""
    box, lock = Box(a=0, b=0), threading.Lock()

    def depositor():
        with lock:
            box.a += 1
        box.b += 1

    def checker():
        with lock:
            assert box.b != 1

    concurrently(depositor, checker)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_verdict_does_not_depend_on_the_order_of_the_bodies(control, order):
    """The failing schedule has no preemption, and one of the peers certifies one of the two orders."""
    entered = control()
    found = explored(entered, reordered(half_seen, order), minimising=100)
    assert found.failing is not None
    assert found.minimised.schedule.preemptions == 0


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_every_order_finds_what_a_waiting_thread_sees(of, order):
    """SCTBench's account: certified in four of six orders elsewhere."""
    entered, program = of("fails/account")
    assert explored(entered, reordered(program, order)).failing is not None
    entered, program = of("holds/account")
    found = explored(entered, reordered(program, order))
    assert (found.failing, found.complete) == (None, True)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
def test_a_bound_loses_nothing_within_it(of, order):
    """reorder_3 needs one preemption; with the bounds 1 and 2 it is found in every order, and with 0 it is not there."""
    from tests.explore.search import search as bounded

    entered, program = of("fails/reorder_3")
    for bound, fails in ((0, False), (1, True), (2, True)):
        found = bounded(entered, reordered(program, order), reduce=False, bound=bound, limit=20_000, traces=None)
        assert found.ended or fails
        assert any(kinds for _, kinds, _ in found.outcomes) == fails, bound


@pytest.mark.parametrize(("budget", "limit"), [(Budget(2), "schedules"), (Budget(5_000, seconds=0.0), "seconds")])
def test_a_search_that_was_cut_short_is_not_complete(of, budget, limit):
    entered, program = of("holds/reorder_3")
    found = search(entered, program, budget=budget, seed=1)
    assert (found.failing, found.complete, found.limit) == (None, False, limit)
    assert 0 < found.missing[2] <= 1


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_lost_wakeup_is_a_deadlock(of, order):
    entered, program = of("fails/lost_wakeup")
    found = explored(entered, reordered(program, order))
    assert found.failing.ending is Ending.DEADLOCK
    entered, program = of("holds/lost_wakeup")
    assert explored(entered, reordered(program, order), 200).failing is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [("check_then_delete", KeyError), ("iterate_while_adding", RuntimeError), ("generator_in_use", ValueError)],
)
def test_what_a_thread_raises_is_a_finding(of, name, kind):
    """With a schedule that shows it again, not as an exception of the explorer's."""
    entered, program = of(f"fails/{name}")
    found = explored(entered, program, minimising=20)
    assert isinstance(found.minimised, Minimised)
    raised = found.minimised.run.failure
    inside = raised.exceptions[0] if isinstance(raised, BaseExceptionGroup) else raised
    assert type(inside) is kind
    again = entered.run(program, Attempt("plan", found.minimised.schedule.to_core()))
    assert type(again.failure) is type(raised)


@pytest.mark.parametrize("name", ["own_threads", "executor_lost_update", "missing_join", "timer_vs_cancel"])
def test_threads_of_its_own_are_explored(of, name):
    entered, program = of(f"fails/{name}")
    assert explored(entered, program).failing is not None
    entered, program = of(f"holds/{name}")
    found = explored(entered, program, 300)
    assert found.failing is None
    assert found.threads > 1


@pytest.mark.parametrize("name", ["if_instead_of_while", "hand_made_barrier", "queue_one_sentinel", "notify_too_few"])
def test_what_blocks_in_the_standard_library_is_explored(of, name):
    """Without an option, a timeout, or an "inconclusive"."""
    entered, program = of(f"fails/{name}")
    assert explored(entered, program).failing is not None
    entered, program = of(f"holds/{name}")
    found = explored(entered, program, 300)
    assert (found.failing, dict(found.endings)) == (None, {})


def test_a_deadlock_names_locks_and_lines():
    """Who holds what, taken where, and who waits for it; golden files show all of it (tests/report)."""
    module = importlib.import_module("tests.programs.fails.lock_order")
    with stories.under_control(module.__file__) as entered:
        story = stories.failing(entered, module.program)
    assert story.ending == "deadlock"
    waiting = [one.step for one in story.waiting if not one.step.threads]  # the test itself waits for the two threads
    assert {one.lock for one in story.held} == {step.name for step in waiting}
    for one in story.held:
        assert not one.lock.startswith("0x")
        assert "lock" in story.place(one.since).source
    assert [(step.did, step.holder) for step in waiting] == [(Did.WAIT, 2), (Did.WAIT, 1)]


def test_locks_from_before_the_run(control):
    def program():
        box = Box(value=0)

        def increment():
            with BEFORE:
                box.value += 1

        concurrently(increment, increment)
        assert box.value == 2

    found = explored(control(), program)
    assert (found.failing, found.complete) == (None, True)


def test_an_imported_lock(control):
    """``from threading import Lock``: the deadlock is found, and no thread is left behind."""
    before = threading.active_count()

    def program():
        one, other = Lock(), Lock()

        def take(first, second):
            with first, second:
                pass

        concurrently(lambda: take(one, other), lambda: take(other, one))

    entered = control()
    entered.run(program, Attempt("plan", []))
    with_pool = threading.active_count()
    found = explored(entered, program)
    assert found.failing.ending is Ending.DEADLOCK
    assert threading.active_count() == with_pool >= before


def test_a_loop_that_waits_ends_in_every_strategy(holds):
    """One of the peers goes on in the loop for ever, and calls that a hang."""

    def program():
        box = Box(ready=False, seen=False)

        def wait():
            while not box.ready:
                pass
            box.seen = True

        concurrently(wait, lambda: setattr(box, "ready", True))
        assert box.seen

    assert len(holds(program)) > len(POLICIES)


def test_time_that_others_take_does_not_matter(control):
    """Nothing is judged by the real time: a thread that takes longer than any timeout is still waited for."""

    def program():
        box, lock = Box(value=0), threading.Lock()

        def slow():
            with lock:
                began = time.process_time()
                while process_time() - began < 0.2:
                    pass
                box.value += 1

        def impatient():
            if lock.acquire(timeout=0.001):
                lock.release()

        concurrently(slow, impatient)
        assert box.value == 1

    process_time = time.process_time  # the real one
    entered = control(limit=10**8, stay=10**8)
    endings = collections.Counter(entered.run(program, Attempt("pos", None, seed)).ending for seed in range(4))
    assert endings == {Ending.COMPLETE: 4}


def test_threads_know_themselves(holds):
    class Worker(threading.Thread):
        def __init__(self, names):
            super().__init__(name="worker")
            self.names = names

        def run(self):
            assert threading.current_thread() is self
            self.names.append(threading.current_thread().name)

    def program():
        names = []
        timer = threading.Timer(3600, lambda: names.append("timer"))
        worker = Worker(names)
        timer.start()
        worker.start()
        worker.join()
        timer.join()
        concurrently(lambda: names.append(threading.current_thread().name))
        assert names[:2] == ["worker", "timer"]
        assert names[2].startswith("concurrently-")

    holds(program)


def test_the_scope_is_this_file(control):
    """What is said above is said of code with scheduling points."""
    entered = control(Scope([__file__]))
    entered.run(half_seen, Attempt("plan", []))
    assert entered.run(half_seen, Attempt("walk", 1.0, 1)).decisions > 3

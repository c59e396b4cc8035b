"""After a run, whatever became of it, and after control is given back, nothing is left of either.

The fixture of this folder (``_restored``) compares the types' methods, the functions, affinity, the collector and the tools
of ``sys.monitoring`` after every test; here are runs that end badly, and what is to work between runs.
"""

import gc
import os
import signal
import sys
import threading
import time

import pytest

from ftcheck import concurrently
from ftcheck.explore.control import Attempt, Control, Ending
from ftcheck.explore.scope import Scope
from tests.explore.conftest import state_of_the_process

SHARED = threading.Lock()
RECURSIVE = threading.RLock()
FIRST, SECOND = threading.Lock(), threading.Lock()


def deadlock():
    def ab():
        with RECURSIVE, FIRST:
            time.sleep(1)
            with SECOND:
                pass

    def ba():
        with SECOND:
            time.sleep(1)
            with FIRST:
                pass

    concurrently(ab, ba)


def deadlock_of_threads():
    threads = [threading.Thread(target=SHARED.acquire, name="of a test") for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def too_long():
    def spin():
        with SHARED:
            while True:
                spin.turns = 1

    concurrently(spin, spin)


def failing():
    def fail():
        with SHARED:
            raise ValueError("of a test")

    concurrently(fail, fail)


def exiting():
    concurrently(lambda: sys.exit(3), lambda: time.sleep(1))


def daemons():
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    threading.Timer(10_000, print).start()
    raise KeyError("of a test")


def swallowing():
    """Code that catches everything, also what unwinds it."""

    def stubborn():
        for _ in range(3):
            try:
                with FIRST:
                    threading.Event().wait()
            except BaseException:
                pass

    concurrently(stubborn, stubborn)


ENDINGS = {
    deadlock: Ending.DEADLOCK,
    deadlock_of_threads: Ending.DEADLOCK,
    too_long: Ending.TOO_LONG,
    failing: Ending.COMPLETE,
    exiting: Ending.COMPLETE,
    daemons: Ending.COMPLETE,
    swallowing: Ending.DEADLOCK,
}


def cured():
    """What works only if nothing of the run before is left."""
    seen = []

    def take(lock):
        with lock, RECURSIVE:
            seen.append(1)

    concurrently(lambda: take(FIRST), lambda: take(SECOND), lambda: take(FIRST))
    assert len(seen) == 3


@pytest.mark.parametrize("program", ENDINGS, ids=lambda program: program.__name__)
def test_after_any_ending_everything_works_again(control, quiet_threads, program):
    entered, threads = control(limit=3_000), set(threading.enumerate())
    for seed in range(10):
        run = entered.run(program, Attempt("walk", 1.0, seed))
        assert run.ending is ENDINGS[program]
        if SHARED.locked():  # taken by a thread that has ended and not given back, as ever
            assert program is deadlock_of_threads
            SHARED.release()
        for lock in (FIRST, SECOND, RECURSIVE):
            assert lock.acquire(blocking=False)
            lock.release()
        again = entered.run(cured, Attempt("walk", 1.0, seed))
        assert (again.failure, again.ending) == (None, Ending.COMPLETE)
    left = set(threading.enumerate()) - threads
    assert {thread.name for thread in left} <= {f"concurrently-{number}" for number in range(64)}


@pytest.mark.parametrize("program", ENDINGS, ids=lambda program: program.__name__)
def test_what_a_failing_run_raises_is_what_the_test_raised(control, quiet_threads, program):
    failure = control(limit=3_000).run(program, Attempt("plan", [])).failure
    if program is deadlock_of_threads:
        SHARED.release()
    if program is daemons:
        assert type(failure) is KeyError
    elif program in (failing, exiting):
        assert isinstance(failure, BaseExceptionGroup)
        assert {type(one) for one in failure.exceptions} == {ValueError if program is failing else SystemExit}
    else:
        assert failure is None


def test_between_two_runs_nothing_is_virtual(control):
    entered = control()
    entered.run(deadlock, Attempt("plan", []))
    began, real = time.monotonic(), time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    time.sleep(0.01)
    assert time.clock_gettime_ns(time.CLOCK_MONOTONIC) - real >= 10_000_000
    assert time.monotonic() - began >= 0.01
    seen = []
    thread = threading.Thread(target=seen.append, args=(1,))
    thread.start()
    thread.join()
    assert seen == [1]


def test_while_entered_the_process_is_on_one_cpu_and_collects_nothing(control):
    before = state_of_the_process()
    control()
    assert not gc.isenabled()
    assert len(os.sched_getaffinity(0)) == 1
    within = state_of_the_process()
    assert within["methods"] != before["methods"]
    assert within["functions"] != before["functions"]
    assert within["tools"] != before["tools"]


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with Control(Scope([__file__])) as entered:
            entered.run(cured, Attempt("plan", []))
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_the_test_raises_through_the_control_leaves_nothing():
    def explore():
        with Control(Scope([__file__])) as entered:
            entered.run(deadlock, Attempt("plan", []))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        explore()


def test_it_can_be_entered_again_and_again():
    for _ in range(3):
        with Control(Scope([__file__])) as entered:
            assert entered.run(cured, Attempt("walk", 1.0, 1)).failure is None


def test_interrupted(control):
    """Ctrl-C while the main thread waits and another one goes on for ever."""
    entered, main = control(limit=10**9), threading.main_thread().ident

    def program():
        def forever():
            signal.pthread_kill(main, signal.SIGINT)
            while True:
                forever.turns = 1

        concurrently(forever, forever)

    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            entered.run(program, Attempt("walk", 1.0, 1))
    finally:
        signal.signal(signal.SIGINT, previous)
    assert entered.run(cured, Attempt("walk", 1.0, 1)).failure is None


def test_unknown_policies_and_wrong_parameters_leave_no_run_behind(control):
    entered = control()
    for attempt, error in (
        (Attempt("fastest"), ValueError),
        (Attempt("walk", "often"), TypeError),
        (Attempt("pct", 3), (TypeError, SystemError)),
        (Attempt("surw", (0, 3, b"")), TypeError),
        (Attempt("race", (0, 3, 0, 3)), TypeError),
        (Attempt("plan", [(1, 2, 3)]), TypeError),
        (Attempt("plan", [(99, 0, 0, 0)]), ValueError),
        (Attempt("plan", [(0, 0, 0, 64)]), ValueError),
    ):
        with pytest.raises(error):
            entered.run(cured, attempt)
        assert entered.run(cured, Attempt("plan", [])).failure is None


def test_a_second_control_is_refused(child):
    """In a process of its own: two that are entered at once do not come to their end."""
    done = child(
        f"""
        import sys
        from ftcheck.explore.control import Control
        from ftcheck.explore.scope import Scope
        with Control(Scope([{__file__!r}])):
            try:
                with Control(Scope([{__file__!r}])):
                    pass
            except RuntimeError as refusal:
                print("refused:", refusal)
        """,
        timeout=5,
    )
    assert done.stdout.startswith("refused:"), done.stderr


def test_equal_code_in_two_files_is_watched_in_both(tmp_path):
    """Code objects are equal whatever their file; each has points of its own."""
    source = "class Counter:\n    value = 0\n    def add(self):\n        self.value += 1\n"
    spaces = []
    for name in ("one.py", "two.py"):
        space = {"__name__": name}
        exec(compile(source, str(tmp_path / name), "exec"), space)
        spaces.append(space["Counter"])
    steps = []
    with Control(Scope([str(tmp_path) + os.sep])) as entered:
        for kind in spaces:
            entered.see(kind)
        for kind in spaces:
            counter = kind()
            steps.append(
                entered.run(lambda counter=counter: concurrently(counter.add, counter.add), Attempt("plan", [])).steps
            )
    assert steps[0] == steps[1]

"""Lock and RLock under control: those of the test, those that existed before, and those of the standard library."""

import io
import logging
import threading
from threading import Lock

import pytest

from ftcheck import concurrently
from ftcheck.explore.control import Attempt, Ending
from tests.explore.conftest import CHANCE

MADE_BEFORE = Lock()
RECURSIVE_BEFORE = threading.RLock()


class Total:
    def __init__(self, value=0):
        self.value = value

    def add(self, amount=1):
        self.value += amount


@pytest.mark.parametrize("lock", [MADE_BEFORE, RECURSIVE_BEFORE], ids=["Lock", "RLock"])
def test_locks_made_before_the_run_are_controlled(holds, lock):
    def program():
        total = Total()

        def add():
            with lock:
                total.add()

        concurrently(add, threads=3)
        assert total.value == 3
        assert not lock.locked()

    holds(program)
    assert lock.acquire(blocking=False)
    lock.release()


def test_every_policy_but_the_plain_one_finds_a_missing_lock(explore):
    def program():
        total = Total()
        concurrently(total.add, total.add)
        assert total.value == 2

    for policy in CHANCE:
        assert any(run.failed for run in explore(program, [policy], schedules=100)), policy
    assert not any(run.failed for run in explore(program, ["plan"]))


def test_a_deadlock_is_found_and_is_no_hang(explore):
    def program():
        first, second = Lock(), Lock()

        def ab():
            with first, second:
                pass

        def ba():
            with second, first:
                pass

        concurrently(ab, ba)

    for policy in CHANCE:
        runs = explore(program, [policy], schedules=30)
        assert {run.ending for run in runs} == {Ending.COMPLETE, Ending.DEADLOCK}, policy
        assert all(run.failure is None for run in runs)
        assert all(run.failed == (run.ending is Ending.DEADLOCK) for run in runs)


def test_a_lock_of_the_module_deadlocks_too_and_is_free_afterwards(explore):
    def program():
        other = threading.Lock()

        def ab():
            with MADE_BEFORE, other:
                pass

        def ba():
            with other, MADE_BEFORE:
                pass

        concurrently(ab, ba)

    assert Ending.DEADLOCK in {run.ending for run in explore(program)}
    assert not MADE_BEFORE.locked()


def test_taking_a_lock_twice_is_a_deadlock_of_one(control):
    def program():
        lock = Lock()
        lock.acquire()
        lock.acquire()

    assert control().run(program, Attempt("plan", [])).ending is Ending.DEADLOCK


def test_a_lock_may_be_given_back_by_another_thread(holds):
    def program():
        lock, seen = Lock(), []
        lock.acquire()

        def wait():
            with lock:
                seen.append(1)

        concurrently(wait, lock.release)
        assert seen == [1]

    holds(program)


def test_a_free_lock_cannot_be_given_back(holds):
    def program():
        lock = Lock()

        def body():
            with pytest.raises(RuntimeError, match="release unlocked lock"):
                lock.release()

        concurrently(body)

    holds(program)


def test_an_rlock_is_taken_as_often_as_one_likes(holds):
    def program():
        lock, total = threading.RLock(), Total()

        def add(depth):
            with lock:
                if depth:
                    add(depth - 1)
                total.add()

        concurrently(lambda: add(3), lambda: add(3))
        assert total.value == 8
        assert not lock.locked()

    holds(program)


def test_an_rlock_is_held_until_it_is_given_back_as_often(holds):
    def program():
        lock, log = threading.RLock(), []

        def hold():
            lock.acquire()
            lock.acquire()
            log.append("in")
            lock.release()
            log.append("still in")
            lock.release()

        def other():
            with lock:
                log.append("other")

        concurrently(hold, other)
        assert log in (["in", "still in", "other"], ["other", "in", "still in"])

    holds(program)


@pytest.mark.parametrize("taken", [True, False])
def test_another_threads_rlock_cannot_be_given_back(holds, taken):
    def program():
        lock = threading.RLock()
        if taken:
            lock.acquire()

        def body():
            with pytest.raises(RuntimeError, match="cannot release un-acquired lock"):
                lock.release()

        concurrently(body, body)
        if taken:
            lock.release()

    holds(program)


@pytest.mark.parametrize("make", [Lock, threading.RLock])
def test_acquiring_without_waiting_tells_who_was_first(explore, make):
    outcomes = set()

    def program():
        lock, got = make(), []

        def attempt(number):
            if lock.acquire(blocking=False):
                got.append(number)

        concurrently(lambda: attempt(0), lambda: attempt(1))
        assert len(got) == 1
        outcomes.add(got[0])

    assert not any(run.failed for run in explore(program))
    assert outcomes == {0, 1}


@pytest.mark.parametrize("make", [Lock, threading.RLock])
def test_a_timeout_passes_in_virtual_time_only(holds, make):
    def program():
        lock = make()
        lock.acquire()

        def attempt():
            assert not lock.acquire(timeout=3600)
            assert not lock.acquire(True, 3600)
            assert not lock.acquire(True, timeout=0)

        concurrently(attempt)

    assert {round(run.seconds) for run in holds(program)} == {7200}


def test_a_timeout_does_not_end_a_wait_that_needs_none(holds):
    def program():
        lock, total = Lock(), Total()

        def add():
            assert lock.acquire(timeout=1)
            total.add()
            lock.release()

        concurrently(add, threads=3)
        assert total.value == 3

    assert {run.seconds for run in holds(program)} == {0}


@pytest.mark.parametrize("make", [Lock, threading.RLock])
def test_who_waits_with_a_timeout_is_never_part_of_a_deadlock(holds, make):
    """Whether it began to wait or is about to: as time passes, it gives up."""

    def program():
        lock, given_up = make(), threading.Event()

        def hold():
            with lock:
                given_up.wait()

        def attempt():
            if lock.acquire(timeout=1):
                lock.release()
            given_up.set()

        concurrently(hold, attempt)

    holds(program, schedules=40)


@pytest.mark.parametrize(
    ("arguments", "names", "error"),
    [
        ((True, -2), {}, ValueError),
        ((False, 1), {}, ValueError),
        ((), {"timeout": "soon"}, TypeError),
        ((), {"wait": True}, TypeError),
        ((True, 1, 1), {}, TypeError),
        ((True, float("inf")), {}, OverflowError),
        ((True, float("nan")), {}, ValueError),
        ((True, 1e100), {}, OverflowError),
    ],
)
@pytest.mark.parametrize("make", [Lock, threading.RLock])
def test_wrong_arguments_are_refused_as_ever(control, make, arguments, names, error):
    with pytest.raises(error):
        make().acquire(*arguments, **names)

    def program():
        with pytest.raises(error):
            make().acquire(*arguments, **names)

    run = control().run(lambda: concurrently(program), Attempt("plan", []))
    assert (run.failure, run.ending) == (None, Ending.COMPLETE)


def test_locks_of_the_standard_library_are_controlled(explore):
    """A handler's lock and one of ours, taken in opposite order."""
    ours, handler = threading.RLock(), logging.StreamHandler(io.StringIO())

    class Careless(logging.Formatter):
        def format(self, record):
            with ours:
                return super().format(record)

    handler.setFormatter(Careless())
    logger = logging.Logger("of a test")
    logger.addHandler(handler)

    def log_first():
        logger.warning("first")

    def lock_first():
        with ours:
            logger.warning("second")

    runs = explore(lambda: concurrently(log_first, lock_first), schedules=30)
    assert {run.ending for run in runs} == {Ending.COMPLETE, Ending.DEADLOCK}
    assert not ours.locked()
    assert handler.lock.acquire(blocking=False)
    handler.lock.release()


def test_logging_holds(holds):
    text = io.StringIO()
    handler, logger = logging.StreamHandler(text), logging.Logger("of a test")
    logger.addHandler(handler)
    runs = holds(lambda: concurrently(lambda: logger.warning("one"), lambda: logger.warning("two")), schedules=5)
    assert sorted(text.getvalue().split()) == sorted(["one", "two"] * (len(runs) + 2))  # and two before, to get to know it


def test_what_a_policy_makes_of_a_seed_is_always_the_same(control):
    def program():
        lock, total = Lock(), Total()

        def add():
            with lock:
                total.add()
            total.add()

        concurrently(add, add, add)

    entered = control()
    for attempt in (
        Attempt("walk", 1.0, 5),
        Attempt("pct", (3, 20), 5),
        Attempt("pos", None, 5),
        Attempt("surw", (0, [9] * 4, b""), 5),
    ):
        schedules = {str(entered.run(program, attempt).schedule) for _ in range(5)}
        assert len(schedules) == 1, attempt

"""Loops that wait: those that end do so under every policy, fair or not; those that do not are given up."""

import queue
import threading
import time

import pytest

from ftcheck import concurrently
from ftcheck.explore.control import Attempt, Ending


def test_a_spin_wait_that_gives_way_ends(holds):
    def program():
        event, seen = threading.Event(), []

        def spin():
            while not event.is_set():
                time.sleep(0)
            seen.append(1)

        concurrently(spin, spin, event.set)
        assert seen == [1, 1]

    holds(program)


def test_a_spin_wait_that_does_not_give_way_ends(holds):
    """A thread that goes on for long while others could gives way, in every policy."""

    def program():
        done, seen = [], []

        def spin():
            while not done:
                pass
            seen.append(1)

        concurrently(spin, spin, lambda: done.append(1))
        assert seen == [1, 1]

    holds(program, schedules=8)


@pytest.mark.parametrize("what", ["attribute", "global", "closure", "locked", "try", "alive", "is_set", "empty"])
def test_every_kind_of_spin_wait_ends(holds, what):
    """Also where what is looked at in the loop is read by the standard library or in C."""

    def program():
        lock, event, done = threading.Lock(), threading.Event(), False
        lock.acquire()
        SPUN.over = False
        jobs = queue.Queue()
        thread = threading.Thread(target=event.wait)
        thread.start()

        def over():
            return {
                "attribute": lambda: SPUN.over,
                "global": lambda: globals()["SPUN"].over,
                "closure": lambda: done,
                "locked": lambda: not lock.locked(),
                "try": lambda: lock.acquire(blocking=False),
                "alive": lambda: not thread.is_alive(),
                "is_set": event.is_set,
                "empty": lambda: not jobs.empty(),
            }[what]

        def spin():
            ended = over()
            while not ended():
                pass

        def end():
            nonlocal done
            SPUN.over = done = True
            jobs.put(1)
            event.set()
            lock.release()

        concurrently(spin, end)
        thread.join()

    holds(program, schedules=4)


class SPUN:
    over = False


def test_an_endless_loop_is_given_up(explore):
    def program():
        def spin():
            while True:
                SPUN.over = False

        concurrently(spin, spin)

    runs = explore(program, schedules=2, limit=5_000)
    assert {run.ending for run in runs} == {Ending.TOO_LONG}
    assert {run.failure for run in runs} == {None}


def test_two_polite_threads_end(holds):
    """Each gives back what it has if it cannot have both: no schedule here is unfair for ever."""

    def program():
        first, second = threading.Lock(), threading.Lock()

        def both(one, other):
            while True:
                with one:
                    SPUN.over = True
                    if other.acquire(blocking=False):
                        other.release()
                        return

        concurrently(lambda: both(first, second), lambda: both(second, first))

    holds(program)


def test_waiting_alone_is_a_deadlock(control):
    run = control().run(lambda: threading.Event().wait(), Attempt("plan", []))
    assert run.ending is Ending.DEADLOCK

"""Condition, Semaphore, Event and Barrier under control: made of locks, they need nothing of their own."""

import threading
import time

import pytest

from ftcheck import concurrently
from ftcheck.explore.control import Ending
from tests.explore.conftest import CHANCE

CONDITIONS = pytest.mark.parametrize(
    "condition", [threading.Condition, lambda: threading.Condition(threading.Lock())], ids=["RLock", "Lock"]
)


@CONDITIONS
def test_condition_hands_over(holds, condition):
    def program():
        ready, items, taken = condition(), [], []

        def take():
            with ready:
                while not items:
                    ready.wait()
                taken.append(items.pop())

        def put():
            for item in (1, 2):
                with ready:
                    items.append(item)
                    ready.notify()

        concurrently(take, take, put)
        assert sorted(taken) == [1, 2]

    holds(program)


@CONDITIONS
def test_notify_all_wakes_all(holds, condition):
    def program():
        ready, go, woken = condition(), [], []

        def wait():
            with ready:
                assert ready.wait_for(lambda: go)
                woken.append(1)

        def start():
            with ready:
                go.append(1)
                ready.notify_all()

        concurrently(wait, wait, wait, start)
        assert len(woken) == 3

    holds(program)


def test_notify_wakes_as_many_as_it_says(explore):
    def program():
        ready, woken = threading.Condition(), []

        def wait():
            with ready:
                ready.wait()
                woken.append(1)

        def start():
            time.sleep(1)  # until they wait
            with ready:
                ready.notify(2)

        concurrently(wait, wait, wait, start)

    assert {run.ending for run in explore(program)} == {Ending.DEADLOCK}  # of the third one


def test_a_lost_wakeup_is_a_deadlock(explore):
    def program():
        ready, items = threading.Condition(), []

        def take():
            if not items:
                with ready:
                    ready.wait()

        def put():
            items.append(1)
            with ready:
                ready.notify()

        concurrently(take, put)

    for policy in CHANCE:
        endings = {run.ending for run in explore(program, [policy], schedules=50)}
        assert endings == {Ending.COMPLETE, Ending.DEADLOCK}, policy


def test_condition_waits_take_their_time(holds):
    def program():
        ready = threading.Condition()

        def wait():
            with ready:
                assert not ready.wait(10)
                assert not ready.wait_for(lambda: False, timeout=20)

        concurrently(wait, wait)

    assert {round(run.seconds) for run in holds(program)} == {30}


def test_a_recursively_held_condition_is_let_go_of_entirely(holds):
    def program():
        ready, go = threading.Condition(), []

        def wait():
            with ready, ready:
                while not go:
                    ready.wait()
            with ready:
                pass

        def start():
            with ready:
                go.append(1)
                ready.notify()

        concurrently(wait, start)

    holds(program)


def test_condition_needs_its_lock(holds):
    def program():
        ready = threading.Condition()

        def body():
            for call in (ready.wait, ready.notify):
                with pytest.raises(RuntimeError, match="un-acquired"):
                    call()

        concurrently(body, body)

    holds(program, schedules=5)


@pytest.mark.parametrize("kind", [threading.Semaphore, threading.BoundedSemaphore])
def test_semaphore_admits_so_many(holds, kind):
    inside_at_most = set()

    def program():
        places, inside, most = kind(2), [], []

        def visit():
            with places:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

        concurrently(visit, threads=4)
        assert max(most) <= 2
        inside_at_most.add(max(most))

    holds(program)
    assert inside_at_most == {1, 2}


def test_semaphore_without_waiting_and_with_timeout(holds):
    def program():
        places = threading.Semaphore(1)
        assert places.acquire()

        def attempt():
            assert not places.acquire(blocking=False)
            assert not places.acquire(timeout=5)

        concurrently(attempt, attempt)
        places.release(2)
        assert places.acquire(blocking=False)
        assert places.acquire(blocking=False)

    assert {round(run.seconds) for run in holds(program)} == {5}


def test_bounded_semaphore_counts(holds):
    def program():
        places = threading.BoundedSemaphore(1)
        refused = []

        def leave():
            try:
                places.release()
            except ValueError:
                refused.append(1)

        places.acquire()
        concurrently(leave, leave)
        assert refused == [1]

    holds(program)


def test_event(holds):
    def program():
        event, seen = threading.Event(), []

        def wait():
            assert event.wait()
            assert event.is_set()
            seen.append("woken")

        def give():
            seen.append("given")
            event.set()

        concurrently(wait, give, wait)
        assert seen == ["given", "woken", "woken"]
        event.clear()
        assert not event.is_set()
        assert not event.wait(10)

    assert {round(run.seconds) for run in holds(program)} == {10}


def test_a_pulse_is_missed(explore):
    def program():
        event = threading.Event()

        def pulse():
            event.set()
            event.clear()

        concurrently(event.wait, pulse)

    assert {run.ending for run in explore(program)} == {Ending.COMPLETE, Ending.DEADLOCK}


def test_barrier(holds):
    def program():
        order, phases = [], [0, 0, 0]
        barrier = threading.Barrier(3, action=lambda: order.append("all"))

        def meet(me):
            for phase in (1, 2):
                phases[me] = phase
                order.append(barrier.wait())
                assert min(phases) >= phase

        concurrently(lambda: meet(0), lambda: meet(1), lambda: meet(2))
        assert order.count("all") == 2
        assert order[0] == "all"
        assert sorted(number for number in order if number != "all") == [0, 0, 1, 1, 2, 2]
        assert (barrier.parties, barrier.n_waiting, barrier.broken) == (3, 0, False)

    holds(program)


def test_barrier_that_one_is_missing_at(explore):
    def program():
        barrier = threading.Barrier(3)
        concurrently(barrier.wait, barrier.wait)

    assert {run.ending for run in explore(program, schedules=5)} == {Ending.DEADLOCK}


def test_barrier_breaks_at_its_timeout(holds):
    def program():
        barrier, broken = threading.Barrier(3, timeout=7), []

        def meet():
            try:
                barrier.wait()
            except threading.BrokenBarrierError:
                broken.append(1)

        concurrently(meet, meet)
        assert broken == [1, 1]
        assert barrier.broken
        barrier.reset()
        assert not barrier.broken

    assert {round(run.seconds) for run in holds(program)} == {7}


def test_barrier_is_aborted(holds):
    came = set()

    def program():
        barrier, results = threading.Barrier(2), []

        def meet():
            try:
                barrier.wait()
                results.append("met")
            except threading.BrokenBarrierError:
                results.append("broken")

        concurrently(meet, meet, barrier.abort)
        assert len(results) == 2
        came.add(tuple(sorted(results)))

    holds(program)
    assert came == {("met", "met"), ("broken", "met"), ("broken", "broken")}  # who is on the way out is caught, too


def test_failing_action_breaks_the_barrier(holds):
    def program():
        results = []

        def action():
            raise OSError("no")

        barrier = threading.Barrier(2, action)

        def meet():
            try:
                barrier.wait()
            except (OSError, threading.BrokenBarrierError) as failure:
                results.append(type(failure).__name__)

        concurrently(meet, meet)
        assert sorted(results) == ["BrokenBarrierError", "OSError"]

    holds(program)

"""The queues under control; those of ``queue`` are made of locks, ``SimpleQueue`` blocks in C."""

import contextlib
import queue
import threading
import time

import pytest

from ftcheck import concurrently
from ftcheck.explore.control import Attempt, Ending
from tests.explore.conftest import CHANCE

BEFORE = queue.SimpleQueue()
EVERY_QUEUE = pytest.mark.parametrize("make", [queue.Queue, queue.LifoQueue, queue.PriorityQueue, queue.SimpleQueue])
BOUNDED = pytest.mark.parametrize("make", [queue.Queue, queue.LifoQueue, queue.PriorityQueue])


def produce(jobs, *items):
    for item in items:
        jobs.put(item)


def consume(jobs, count, got):
    for _ in range(count):
        got.append(jobs.get())


@EVERY_QUEUE
def test_nothing_is_lost(holds, make):
    def program():
        jobs, got = make(), []
        concurrently(
            lambda: produce(jobs, 1, 2),
            lambda: consume(jobs, 2, got),
            lambda: consume(jobs, 1, got),
            lambda: produce(jobs, 3),
        )
        assert sorted(got) == [1, 2, 3]
        assert jobs.empty()
        assert jobs.qsize() == 0

    holds(program)


def test_order(holds):
    def program():
        for make, expected in ((queue.Queue, [2, 1, 3]), (queue.LifoQueue, [3, 1, 2]), (queue.PriorityQueue, [1, 2, 3])):
            jobs, got = make(), []
            produce(jobs, 2, 1, 3)
            concurrently(lambda: consume(jobs, 3, got))  # noqa: B023
            assert got == expected

    holds(program, schedules=2)


@EVERY_QUEUE
def test_a_queue_that_nobody_fills_is_a_deadlock(explore, make):
    def program():
        jobs = make()
        concurrently(jobs.get, jobs.get, lambda: jobs.put(1))

    assert {run.ending for run in explore(program)} == {Ending.DEADLOCK}


@EVERY_QUEUE
def test_empty_then_get_is_found(explore, make):
    def program():
        jobs = make()
        jobs.put(1)

        def work():
            if not jobs.empty():
                jobs.get()

        concurrently(work, work)

    for policy in CHANCE:
        endings = {run.ending for run in explore(program, [policy], schedules=100)}
        assert endings == {Ending.COMPLETE, Ending.DEADLOCK}, policy


@BOUNDED
def test_a_full_queue_makes_wait(holds, make):
    longest = set()

    def program():
        jobs, got, sizes = make(1), [], []

        def put():
            for item in (1, 2):
                jobs.put(item)
                sizes.append(jobs.qsize())

        concurrently(put, lambda: consume(jobs, 2, got))
        assert sorted(got) == [1, 2]
        assert max(sizes) <= 1
        longest.add(max(sizes))

    holds(program)
    assert longest == {0, 1}


@BOUNDED
def test_a_full_queue_that_nobody_empties(explore, make):
    def program():
        jobs = make(1)
        concurrently(lambda: produce(jobs, 1, 2))

    assert {run.ending for run in explore(program, schedules=3)} == {Ending.DEADLOCK}


@BOUNDED
def test_timeouts_of_bounded_queues(holds, make):
    def program():
        jobs = make(1)

        def body():
            with pytest.raises(queue.Empty):
                jobs.get(timeout=10)
            with pytest.raises(queue.Empty):
                jobs.get_nowait()
            jobs.put(1)
            with pytest.raises(queue.Full):
                jobs.put(2, timeout=20)
            with pytest.raises(queue.Full):
                jobs.put_nowait(2)
            with pytest.raises(ValueError, match="timeout"):
                jobs.get(timeout=-1)

        concurrently(body)

    assert {round(run.seconds) for run in holds(program, schedules=3)} == {30}


def test_timeouts_of_simple_queues(holds):
    def program():
        jobs = queue.SimpleQueue()

        def body():
            with pytest.raises(queue.Empty):
                jobs.get(timeout=10)
            with pytest.raises(queue.Empty):
                jobs.get(True, 5)
            for call in (jobs.get_nowait, lambda: jobs.get(block=False), lambda: jobs.get(timeout=0)):
                with pytest.raises(queue.Empty):
                    call()
            for wrong in (-1, "soon"):
                with pytest.raises((ValueError, TypeError)):
                    jobs.get(timeout=wrong)
            with pytest.raises(TypeError):
                jobs.get(wait=True)
            with pytest.raises(TypeError):
                jobs.get(True, 1, 1)

        concurrently(body)

    assert {round(run.seconds) for run in holds(program, schedules=3)} == {15}


@EVERY_QUEUE
def test_a_timeout_does_not_end_a_wait_that_is_served(holds, make):
    def program():
        jobs, got = make(), []

        def late():
            time.sleep(5)
            jobs.put("late")

        concurrently(lambda: got.append(jobs.get(timeout=10)), late)
        assert got == ["late"]

    assert {round(run.seconds) for run in holds(program)} == {5}


def test_who_waits_with_a_timeout_is_never_part_of_a_deadlock(holds):
    def program():
        jobs, given_up = queue.SimpleQueue(), threading.Event()
        jobs.put(1)

        def take():
            jobs.get()
            given_up.wait()

        def attempt():
            with contextlib.suppress(queue.Empty):
                jobs.get(timeout=1)
            given_up.set()
            jobs.put(2)

        concurrently(take, attempt)

    holds(program, schedules=40)


def test_join_waits_for_task_done(holds):
    def program():
        jobs, done = queue.Queue(), []
        produce(jobs, 1, 2)

        def work():
            item = jobs.get()
            done.append(item)
            jobs.task_done()

        def wait():
            jobs.join()
            assert sorted(done) == [1, 2]

        concurrently(work, wait, work)
        with pytest.raises(ValueError, match="too many"):
            jobs.task_done()

    holds(program)


def test_a_missing_task_done_is_a_deadlock(explore):
    def program():
        jobs = queue.Queue()
        jobs.put(1)
        concurrently(jobs.get, jobs.join)

    assert {run.ending for run in explore(program, schedules=3)} == {Ending.DEADLOCK}


@pytest.mark.parametrize("immediate", [True, False])
def test_shutdown(holds, immediate):
    def program():
        jobs, ended, got = queue.Queue(), [], []

        def work():
            try:
                while True:
                    got.append(jobs.get())
            except queue.ShutDown:
                ended.append(1)

        def close():
            jobs.put(1)
            jobs.shutdown(immediate=immediate)
            with pytest.raises(queue.ShutDown):
                jobs.put(2)

        concurrently(work, close, work)
        assert ended == [1, 1]
        assert got == [1] or (immediate and got == [])

    holds(program)


@pytest.mark.parametrize("block", [True, False])
def test_a_simple_queue_made_before_the_run(holds, block):
    def program():
        got = []

        def take():
            try:
                got.append(BEFORE.get(block))
            except queue.Empty:
                got.append(None)

        concurrently(take, lambda: BEFORE.put(1))
        if got == [None]:
            assert BEFORE.get_nowait() == 1
        else:
            assert got == [1]

    holds(program)
    assert BEFORE.empty()


def test_of_several_who_wait_each_gets_one(holds):
    served = set()

    def program():
        jobs, got = queue.SimpleQueue(), {}

        def take(number):
            got[number] = jobs.get()

        concurrently(lambda: take(0), lambda: take(1), lambda: produce(jobs, "a", "b"))
        assert sorted(got.values()) == ["a", "b"]
        served.add(got[0])

    holds(program, schedules=60)
    assert served == {"a", "b"}


def test_a_pipeline(holds):
    def program():
        first, second, out = queue.SimpleQueue(), queue.Queue(1), []

        def double():
            while (item := first.get()) is not None:
                second.put(2 * item)
            second.put(None)

        def collect():
            while (item := second.get()) is not None:
                out.append(item)

        concurrently(lambda: produce(first, 1, 2, None), double, collect)
        assert out == [2, 4]

    holds(program, schedules=10)


def test_a_queue_of_another_kind_is_none_of_ours(control):
    """A subclass with its own ``get``."""

    class Counting(queue.Queue):
        gets = 0

        def get(self, *arguments, **names):
            self.gets += 1
            return super().get(*arguments, **names)

    def program():
        jobs = Counting()
        concurrently(lambda: jobs.put(1), jobs.get)
        assert jobs.gets == 1

    assert control().run(program, Attempt("walk", 1.0, 3)).failure is None

"""Threads that the code under test starts itself, under control; and those of others, which are not."""

import _thread
import threading
import time

import pytest

from ftcheck import concurrently
from ftcheck.explore.control import Attempt, Ending
from tests.explore.conftest import CHANCE

LOCAL = threading.local()


class Total:
    def __init__(self):
        self.value = 0

    def add(self):
        self.value += 1


def started(*targets, **names):
    threads = [threading.Thread(target=target, **names) for target in targets]
    for thread in threads:
        thread.start()
    return threads


def joined(*targets):
    for thread in started(*targets):
        thread.join()


def test_threads_hold(holds):
    def program():
        total, lock = Total(), threading.Lock()

        def add():
            with lock:
                total.add()

        joined(add, add, add)
        assert total.value == 3

    holds(program)


def test_a_bug_between_threads_of_its_own_is_found(explore):
    def program():
        total = Total()
        joined(total.add, total.add)
        assert total.value == 2

    for policy in CHANCE:
        runs = explore(program, [policy], schedules=100)
        assert {run.ending for run in runs} == {Ending.COMPLETE}
        assert 0 < sum(run.failed for run in runs) < len(runs), policy


def test_a_subclass_of_thread(holds):
    class Adder(threading.Thread):
        def __init__(self, total):
            super().__init__(name="adder")
            self.total, self.seen = total, None

        def run(self):
            self.seen = threading.current_thread()
            self.total.append(self.name)

    def program():
        total = []
        threads = [Adder(total), Adder(total)]
        for thread in threads:
            assert not thread.is_alive()
            thread.start()
        for thread in threads:
            thread.join()
            assert not thread.is_alive()
            assert thread.seen is thread
        assert total == ["adder", "adder"]

    holds(program)


def test_a_child_knows_who_it_is(holds):
    def program():
        seen = []

        def look():
            thread = threading.current_thread()
            assert threading.get_ident() == thread.ident == _thread.get_ident()
            assert thread.is_alive()
            assert thread in threading.enumerate()
            seen.append((thread, thread.name, thread.daemon))

        threads = [threading.Thread(target=look, name="first"), threading.Thread(target=look, name="second", daemon=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(name for _, name, _ in seen) == ["first", "second"]
        assert {thread for thread, _, _ in seen} == set(threads)
        assert [daemon for _, name, daemon in sorted(seen, key=lambda one: one[1])] == [False, True]

    holds(program, schedules=10)


def test_a_body_knows_who_it_is(holds):
    def program():
        seen = []

        def look():
            thread = threading.current_thread()
            assert threading.get_ident() == thread.ident
            assert thread is not threading.main_thread()
            seen.append(thread)

        concurrently(look, look)
        assert len(set(seen)) == 2

    holds(program, schedules=5)


def test_the_main_thread_is_the_test_itself(holds):
    def program():
        assert threading.current_thread() is threading.main_thread()
        concurrently(lambda: None, lambda: None)

    holds(program, schedules=1)


def test_join_with_timeout(holds):
    def program():
        [thread] = started(lambda: time.sleep(10))
        thread.join(timeout=3)
        assert thread.is_alive()
        thread.join(timeout=0)
        assert thread.is_alive()
        thread.join(timeout=100)
        assert not thread.is_alive()

    assert {round(run.seconds) for run in holds(program)} == {10}


def test_joining_oneself_and_joining_early_are_refused(holds):
    def program():
        def join_oneself():
            with pytest.raises(RuntimeError, match="current thread"):
                threading.current_thread().join()

        joined(join_oneself)
        with pytest.raises(RuntimeError, match="before it is started"):
            threading.Thread().join()

    holds(program, schedules=3)


def test_threads_that_wait_for_each_other_are_a_deadlock(explore):
    def program():
        threads = []
        barrier = threading.Barrier(2)

        def wait_for(number):
            barrier.wait()
            threads[number].join()

        threads.append(threading.Thread(target=wait_for, args=(1,)))
        threads.append(threading.Thread(target=wait_for, args=(0,)))
        for thread in threads:
            thread.start()

    assert {run.ending for run in explore(program, schedules=5)} == {Ending.DEADLOCK}


def test_the_run_waits_for_threads_that_nobody_joins(holds):
    done = []

    def program():
        started(lambda: (time.sleep(5), done.append(1)))

    runs = holds(program, schedules=3)
    assert {round(run.seconds) for run in runs} == {5}
    assert len(done) == len(runs) + 2  # and two before, to get to know it


def test_the_run_does_not_wait_for_daemons(holds):
    """Of which one waits for ever, one sleeps, and one would go on for ever."""

    def program():
        def forever():
            while True:
                LOCAL.value = 1

        started(threading.Event().wait, lambda: time.sleep(10_000), forever, daemon=True)

    runs = holds(program, schedules=2)
    assert {run.seconds for run in runs} == {0}


def test_a_missing_join_is_found(explore):
    def program():
        seen = []
        started(lambda: seen.append(1))
        assert seen == [1]

    for policy in CHANCE:
        runs = explore(program, [policy], schedules=100)
        assert any(run.failed for run in runs), policy


def test_a_missing_join_of_a_builtin_is_found(explore):
    def program():
        seen = []
        threading.Thread(target=seen.append, args=(1,)).start()
        assert seen == [1]

    assert any(run.failed for run in explore(program))


def test_start_new_thread(holds):
    def program():
        seen, done = [], threading.Lock()
        done.acquire()

        def run(value, *, key):
            seen.append((value, key))
            done.release()

        _thread.start_new_thread(run, (1,), {"key": 2})
        done.acquire()
        assert seen == [(1, 2)]

    holds(program)


def test_threads_of_threads(holds):
    def program():
        total, lock = Total(), threading.Lock()

        def add(depth):
            if depth:
                joined(lambda: add(depth - 1), lambda: add(depth - 1))
            with lock:
                total.add()

        concurrently(lambda: add(2), lambda: add(1))
        assert total.value == 10

    holds(program, schedules=5)


def test_concurrently_in_concurrently(holds):
    def program():
        total, lock = Total(), threading.Lock()

        def add():
            with lock:
                total.add()

        concurrently(lambda: concurrently(add, add), add)
        assert total.value == 3

    holds(program)


def test_more_threads_than_there_can_be(control):
    def program():
        joined(*[lambda: None] * 100)

    before = threading.enumerate()
    run = control().run(program, Attempt("plan", []))
    assert run.ending is Ending.TOO_MANY_THREADS
    left = [thread for thread in threading.enumerate() if thread not in before and thread.ident is None]
    for thread in left:
        del threading._limbo[thread]
    assert left == []


def test_as_many_bodies_as_there_may_be_threads(holds):
    def program():
        seen = []
        concurrently(*[lambda: seen.append(1)] * 40)
        assert len(seen) == 40

    holds(program, schedules=1)


def test_a_failing_thread_is_the_failure_of_the_run(control):
    """Also where it is a daemon, and where nobody joins it."""

    def fails():
        [thread] = started(lambda: 1 / 0)
        thread.join()

    def fails_alone():
        started(lambda: 1 / 0, daemon=True)
        time.sleep(1)

    for program in (fails, fails_alone):
        run = control().run(program, Attempt("plan", []))
        assert (run.ending, type(run.failure)) == (Ending.COMPLETE, ZeroDivisionError)


def test_a_thread_that_exits(holds):
    def program():
        def leave():
            raise SystemExit

        joined(leave, _thread.exit)

    holds(program, schedules=3)


# --- threads that are not managed --------------------------------------------------------------------------------------


def test_threads_of_others_are_not_affected(control):
    """One that runs all the while takes locks, sleeps and reads the clock as if nothing were."""
    entered, stop, problems, turns = control(), threading.Event(), [], []
    shared = threading.Lock()

    def outsider():
        while not stop.wait(0.001):
            began = time.monotonic()
            with shared:
                time.sleep(0.001)
            if not 0.001 <= time.monotonic() - began < 100:
                problems.append(time.monotonic() - began)
            if abs(time.time() - _thread_time()) > 100:
                problems.append("clock")
            turns.append(1)

    def program():
        total = Total()
        began = time.monotonic()
        concurrently(lambda: time.sleep(10_000), total.add)
        assert time.monotonic() - began >= 10_000
        assert total.value == 1

    thread = threading.Thread(target=outsider)
    thread.start()
    while len(turns) < 3:
        for seed in range(20):
            assert entered.run(program, Attempt("walk", 1.0, seed)).failure is None
    stop.set()
    thread.join()
    assert problems == []


def _thread_time():
    return time.clock_gettime(time.CLOCK_REALTIME)


def test_threads_started_by_others_are_not_controlled(control):
    entered, seen = control(), []

    def program():
        concurrently(lambda: None, lambda: None)

    def outsider():
        inner = threading.Thread(target=seen.append, args=(threading.current_thread(),))
        inner.start()
        inner.join()

    thread = threading.Thread(target=outsider)
    thread.start()
    runs = [entered.run(program, Attempt("walk", 1.0, seed)) for seed in range(50)]
    thread.join()
    assert {run.threads for run in runs} == {3}
    assert seen == [thread]


def test_threads_that_a_body_starts_are_no_daemons(explore):
    """As those that the test itself starts: they are waited for."""

    def blocked():
        concurrently(lambda: threading.Thread(target=threading.Event().wait).start())

    assert {run.ending for run in explore(blocked, schedules=2)} == {Ending.DEADLOCK}

    def slow():
        assert not threading.current_thread().daemon
        time.sleep(1)

    runs = explore(lambda: concurrently(lambda: threading.Thread(target=slow).start()), schedules=2)
    assert {(run.ending, run.failure, run.seconds) for run in runs} == {(Ending.COMPLETE, None, 1)}

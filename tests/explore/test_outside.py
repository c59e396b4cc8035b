"""Threads that block where nobody controls them: the others go on, it is said, and it is never taken for a deadlock."""

import os
import queue
import socket
import subprocess
import sys
import threading
import time

import pytest

from ftcheck import concurrently
from ftcheck.explore.control import Attempt, Ending, Log
from ftcheck.explore.outside import Watchdog
from tests.explore.conftest import POLICIES

RUNS = 3


@pytest.fixture
def pair():
    """Two ends of a connection."""
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


def crossing():
    """Two bodies, each of which has what the other one wants."""
    one, two = threading.Lock(), threading.Lock()
    inside = threading.Barrier(2)

    def cross(first, second):
        with first:
            inside.wait()
            with second:
                pass

    return lambda: cross(one, two), lambda: cross(two, one)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_thread_that_waits_for_data_lets_the_one_go_on_that_sends_them(holds, pair, policy):
    left, right = pair

    def program():
        got = []
        concurrently(lambda: got.append(left.recv(5)), lambda: right.send(b"hello"))
        assert got == [b"hello"]

    runs = holds(program, policies=[policy], schedules=20)
    outside = [run.uncontrolled for run in runs if run.uncontrolled]
    assert all(len(where) == 1 and where[0].startswith("test_outside.py:") for where in outside)
    assert outside


@pytest.mark.parametrize("policy", POLICIES)
def test_two_threads_that_wait_for_each_other_outside_of_control_in_turns(holds, pair, policy):
    """Who comes back finds the other one about to block, with no scheduling point before that."""
    left, right = pair

    def serve():
        for _ in range(3):
            right.send(right.recv(1))

    def ask():
        for _ in range(3):
            left.send(b"?")
            assert left.recv(1) == b"?"

    runs = holds(lambda: concurrently(serve, ask), policies=[policy], schedules=5)
    assert any(len(run.uncontrolled) > 1 for run in runs)


def test_where_it_blocked_is_said(control, pair):
    left, right = pair

    def program():
        concurrently(lambda: left.recv(5), lambda: right.send(b"hello"))

    run = control().run(program, Attempt("plan", []))
    line = program.__code__.co_firstlineno + 1
    assert run.uncontrolled == (f"test_outside.py:{line}",)


def test_a_call_of_the_standard_library_is_named_with_the_line_that_made_it(control):
    def program():
        command = [sys.executable, "-c", "import time; time.sleep(0.1)"]
        concurrently(lambda: subprocess.run(command), lambda: None)

    run = control().run(program, Attempt("plan", []))
    assert (run.failure, run.ending) == (None, Ending.COMPLETE)
    assert run.uncontrolled
    assert run.uncontrolled[0].startswith(f"test_outside.py:{program.__code__.co_firstlineno + 2}, in Popen.")


def test_a_controlled_wait_is_nothing_outside(control):
    def program():
        event, lock = threading.Event(), threading.Lock()

        def waits():
            event.wait()
            with lock:
                time.sleep(3600)

        concurrently(waits, waits, event.set)

    run = control().run(program, Attempt("plan", []))
    assert (run.failure, run.ending, run.uncontrolled) == (None, Ending.COMPLETE, ())


def test_a_thread_that_computes_is_not_outside(control):
    def program():
        def computes():
            return sum(range(10_000_000))  # in C, for a while, without any point

        concurrently(computes, lambda: None)

    run = control().run(program, Attempt("plan", []))
    assert (run.failure, run.ending, run.uncontrolled) == (None, Ending.COMPLETE, ())


def test_the_others_blocked_while_one_is_outside_is_no_deadlock(control, pair):
    """One holds a lock while it reads; the data come from a thread that is not under control."""
    left, right = pair
    handed_on = []

    def send():
        while not handed_on:
            time.sleep(0.01)
        right.send(b"hello")

    sender = threading.Thread(target=send)

    def program():
        lock, got = threading.Lock(), []

        def reads():
            with lock:
                got.append(left.recv(5))

        def waits():
            with lock:
                got.append(b"after")

        concurrently(reads, waits, lambda: handed_on.append(True))
        assert got == [b"hello", b"after"]

    with_control = control()
    sender.start()
    run = with_control.run(program, Attempt("plan", []))
    sender.join()
    assert (run.failure, run.ending) == (None, Ending.COMPLETE)
    assert len(run.uncontrolled) == 1


def test_a_sleep_ends_although_somebody_is_outside(control, pair):
    """It is the sleeper that sends; meanwhile virtual time passes as real time does."""
    left, right = pair

    def program():
        def sends():
            time.sleep(0.05)
            right.send(b"hello")

        concurrently(lambda: left.recv(5), sends)

    began = time.monotonic()
    run = control().run(program, Attempt("plan", []))
    assert (run.failure, run.ending) == (None, Ending.COMPLETE)
    assert time.monotonic() - began >= 0.05


def test_a_deadlock_is_found_after_somebody_was_outside(control, pair):
    left, right = pair

    def program():
        here, there = crossing()

        def reads():
            left.recv(5)

        threads = [
            threading.Thread(target=here),
            threading.Thread(target=there),
            threading.Thread(target=reads),
            threading.Thread(target=right.send, args=(b"hello",)),
        ]
        for thread in reversed(threads):
            thread.start()
        for thread in threads:
            thread.join()

    assert control().run(program, Attempt("plan", [])).ending is Ending.DEADLOCK


def test_a_daemon_that_stays_outside_is_left_behind(control, pair):
    """It gets an exception when it comes back, and the runs after its own do not notice."""
    left, right = pair
    ended = threading.Semaphore(0)

    def program():
        def serves():
            try:
                while True:
                    left.recv(5)
            finally:
                ended.release()

        ready = threading.Event()
        threading.Thread(target=serves, daemon=True).start()
        concurrently(ready.set, ready.wait)

    with_control = control()
    runs = [with_control.run(program, Attempt("plan", [(0, 1, 1, 1)])) for _ in range(3)]
    assert [(run.failure, run.ending) for run in runs] == [(None, Ending.COMPLETE)] * 3
    right.send(b"x" * 15)
    for run in runs:
        if run.uncontrolled:
            ended.acquire()
    last = with_control.run(program, Attempt("plan", []))
    assert last.ending is Ending.COMPLETE
    right.send(b"x" * 5)
    if last.uncontrolled:
        ended.acquire()


def test_a_body_that_stays_outside_is_given_up_with_the_run(control, pair):
    """Its thread is none of the pool's any more, until it comes back."""
    left, right = pair

    def program():
        here, there = crossing()
        concurrently(lambda: left.recv(5), here, there, lambda: right.send(b"hello"))

    with_control = control()
    assert with_control.run(program, Attempt("plan", [])).ending is Ending.DEADLOCK

    def many():
        seen = []
        concurrently(*[lambda: seen.append(1)] * 5)
        assert len(seen) == 5

    run = with_control.run(many, Attempt("plan", []))
    assert (run.failure, run.ending) == (None, Ending.COMPLETE)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # that it is multi-threaded
def test_a_forked_child_is_not_under_control(control):
    def program():
        lock = threading.Lock()

        def forks():
            with lock:
                child = os.fork()
                if child == 0:
                    time.sleep(0)
                    threading.Thread(target=lambda: None).start()
                    os._exit(7)
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == 7

        concurrently(forks, lambda: lock.acquire() and lock.release())

    with_control = control()
    for seed in range(RUNS):
        run = with_control.run(program, Attempt("walk", 0.5, seed), Log.NOTHING)
        assert (run.failure, run.ending) == (None, Ending.COMPLETE)


class Background:
    """A thread that was there before the run, and does what it is told."""

    def __init__(self):
        self.jobs = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        while (job := self.jobs.get()) is not None:
            time.sleep(0.05)
            job()

    def end(self):
        self.jobs.put(None)
        self.thread.join()


@pytest.fixture
def background():
    made = Background()
    yield made
    made.end()


def of_an_event(background):
    done = threading.Event()
    background.jobs.put(done.set)
    assert done.wait()


def of_a_timed_wait(background):
    done = threading.Event()
    background.jobs.put(done.set)
    assert done.wait(30)


def of_a_queue(background):
    answers = queue.SimpleQueue()
    background.jobs.put(lambda: answers.put("done"))
    assert answers.get() == "done"


def of_a_condition(background):
    condition, done = threading.Condition(), []

    def finish():
        with condition:
            done.append(True)
            condition.notify()

    with condition:
        background.jobs.put(finish)
        while not done:
            condition.wait()


def of_a_lock(background):
    lock = threading.Lock()
    lock.acquire()
    background.jobs.put(lock.release)
    with lock:
        pass


@pytest.mark.parametrize("wait", [of_an_event, of_a_timed_wait, of_a_queue, of_a_condition, of_a_lock])
def test_what_a_thread_from_before_the_run_lets_go_on_is_no_deadlock(control, background, wait):
    run = control().run(lambda: concurrently(lambda: wait(background), lambda: None), Attempt("plan", []))
    assert (run.failure, run.ending) == (None, Ending.COMPLETE)
    assert [where.partition(", ")[2] for where in run.uncontrolled] == ["for a thread that is not under control"]
    assert run.uncontrolled[0].startswith("test_outside.py:")


def test_a_deadlock_is_one_although_there_is_another_thread(control, background):
    def program():
        concurrently(*crossing())

    entered = control()
    assert [entered.run(program, Attempt("plan", [])).ending for _ in range(8)] == [Ending.DEADLOCK] * 8


def test_a_thread_that_ends_is_not_waited_for(control, monkeypatch):
    """It is not of those any more that live; but it is the one that asks whether there is another one."""
    numbers, strangers = [], Watchdog._strangers

    def noted(self, idents):
        numbers.append(strangers(self, idents))
        return numbers[-1]

    monkeypatch.setattr(Watchdog, "_strangers", noted)

    def program():
        begin, never = threading.Event(), threading.Event()

        def body():
            threading.Thread(target=begin.wait).start()
            begin.set()
            never.wait()

        concurrently(body)

    assert control().run(program, Attempt("plan", [])).ending is Ending.DEADLOCK
    assert numbers == [0]

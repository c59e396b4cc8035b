"""stall.py: a deadlock is told from a hang, and neither is said of a round that can still end."""

import os
import subprocess
import sys
import threading
import time

import pytest

import ftcheck
from ftcheck.stress import rounds, stall
from ftcheck.stress.stall import StallWatch, stacks
from tests.stress.conftest import Functions, let_go


def kernel_says():
    """Whether this process may read what its threads wait for (Linux, and no container that forbids it)."""
    try:
        return bool(stall._read(f"/proc/self/task/{threading.get_native_id()}/syscall"))
    except OSError:
        return False


pytestmark = pytest.mark.skipif(not kernel_says(), reason="/proc does not say here what a thread waits for")


@pytest.fixture
def impatient(monkeypatch):
    """A deadlock is called one after 0.2 s instead of 1 s, and asked for more often: so that tests need not wait."""
    monkeypatch.setattr(stall, "_PATIENCE", 0.2)
    monkeypatch.setattr(rounds, "_TICK", 0.02)


LONG = 1.0
"""Seconds, five times the patience of an impatient watch: what ends by itself after them is no deadlock."""


class TestDeadlock:
    def test_locks_in_opposite_order(self, run, impatient):
        first, second = threading.Lock(), threading.Lock()
        both = threading.Barrier(2)

        def body(thread, round):
            mine, other = (first, second) if thread == 0 else (second, first)
            with mine:
                both.wait()
                other.acquire()

        def release():  # a lock may be released by another thread than its owner
            first.release()
            second.release()

        with let_go(release):
            outcome = run(Functions(body), rounds=3)
        assert (outcome.stall.kind, outcome.stall.round) == ("deadlock", 1)
        assert outcome.coverage.limit == "hang"
        assert outcome.stall.stacks.count("in body") == 2

    @pytest.mark.parametrize("part", ["open", "prepare_", "cleanup_", "close"])
    def test_in_a_set_up_or_teardown(self, run, impatient, part):
        never = threading.Event()
        with let_go(never.set):
            outcome = run(Functions(**{part: lambda *numbers: never.wait()}))
        assert outcome.stall.kind == "deadlock"

    @pytest.mark.parametrize("own_threads", [True, False])
    def test_bodies_that_bring_their_own_threads(self, run, impatient, own_threads):
        never = threading.Event()
        with let_go(never.set):
            outcome = run(Functions(lambda *numbers: ftcheck.concurrently(never.wait, never.wait)), own_threads=own_threads)
        assert outcome.stall.kind == "deadlock"


def sleeping():
    time.sleep(LONG)


def waiting_with_a_timeout():
    threading.Event().wait(LONG)


def acquiring_with_a_timeout():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire(timeout=LONG)


def waiting_for_a_process():
    subprocess.run([sys.executable, "-S", "-c", f"import time; time.sleep({LONG})"], check=True)


def reading_a_pipe():
    child = subprocess.Popen(
        [sys.executable, "-S", "-c", f"import time; time.sleep({LONG}); print('x')"], stdout=subprocess.PIPE
    )
    assert child.communicate()[0]


def computing():
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        sum(range(1000))


def waking_up_now_and_then():
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        threading.Event().wait(0.01)


class TestNoDeadlock:
    @pytest.mark.parametrize(
        "wait",
        [
            sleeping,
            waiting_with_a_timeout,
            acquiring_with_a_timeout,
            waiting_for_a_process,
            reading_a_pipe,
            computing,
            waking_up_now_and_then,
        ],
    )
    def test_while_one_thread_can_still_wake_the_others(self, run, impatient, wait):
        """Thread 1 waits without end for what thread 0 does in the end."""
        done = threading.Event()

        def body(thread, round):
            if thread:
                done.wait()
            else:
                wait()
                done.set()

        outcome = run(Functions(body), rounds=1)
        assert outcome.stall is None
        assert outcome.failures == ()

    def test_while_another_process_can_still_wake_them(self, child):
        """A semaphore that processes share is a futex, too, and looks like a lock of this process."""
        done = child(f"""
            import multiprocessing, os, time
            semaphore = multiprocessing.get_context("fork").Semaphore(0)
            if os.fork() == 0:
                time.sleep({LONG})
                semaphore.release(); semaphore.release()
                os._exit(0)
            from ftcheck.stress import engine, rounds, stall
            from tests.stress.conftest import Functions, settings
            stall._PATIENCE, rounds._TICK = 0.2, 0.02
            outcome = engine.run(Functions(lambda *numbers: semaphore.acquire()), settings(rounds=1))
            print(outcome.stall and outcome.stall.kind, flush=True)
            os._exit(0)
        """)
        assert done.stdout == "None\n", done.stderr

    def test_while_a_bystander_is_counted_that_waits_otherwise(self, impatient):
        """Without bystanders, a thread of this process that reads a pipe keeps the verdict open."""
        readable, writable = os.pipe()
        reader = threading.Thread(target=os.read, args=(readable, 1))
        never = threading.Lock()
        never.acquire()
        waiter = threading.Thread(target=never.acquire)
        for thread in (reader, waiter):
            thread.start()
        others = {int(name) for name in os.listdir("/proc/self/task")} - {reader.native_id, waiter.native_id}

        def judged(bystanders):
            watch = StallWatch(LONG, bystanders)
            began = time.monotonic()
            while (found := watch.check(1, began)) is None:
                time.sleep(0.02)
            return found.kind

        try:
            assert judged(others) == "hang"
            assert judged(others | {reader.native_id}) == "deadlock"
        finally:
            os.write(writable, b"x")
            never.release()
            for thread in (reader, waiter):
                thread.join()
            os.close(readable)
            os.close(writable)


class TestHang:
    def test_a_round_over_its_time(self, run):
        """Its threads still wake up now and then, so it is no deadlock; only the time says that it will not end."""
        enough = threading.Event()

        def polling_for_what_never_comes(thread, round):
            while not enough.wait(0.01):
                pass

        with let_go(enough.set):
            outcome = run(Functions(polling_for_what_never_comes), timeout=0.5)
        assert (outcome.stall.kind, outcome.stall.round, outcome.coverage.limit) == ("hang", 1, "hang")
        assert outcome.stall.seconds > 0.5
        assert outcome.stall.stacks.count("in polling_for_what_never_comes") == 2

    def test_the_time_is_that_of_one_round_not_of_all(self):
        watch = StallWatch(timeout=60.0)
        assert watch.check(1, time.monotonic() - 30) is None
        assert watch.check(2, time.monotonic() - 30) is None
        assert watch.check(3, time.monotonic() - 61).kind == "hang"

    def test_failures_and_coverage_so_far_are_kept(self, run):
        enough = threading.Event()

        def body(thread, round):
            if round == 1:
                raise KeyError(thread)
            while not enough.wait(0.01):
                pass

        with let_go(enough.set):
            outcome = run(Functions(body), timeout=0.5)
        assert outcome.stall.round == 2
        assert sorted(one.exception.args for one in outcome.failures) == [(0,), (1,)]
        assert (outcome.coverage.rounds, outcome.coverage.failed) == (2, 1)


class TestWhatTheKernelSays:
    @pytest.mark.parametrize(
        ("line", "without_end"),
        [
            ("{futex} 0x7f00 0x0 0x2 0x0 0x0 0x0 0x7ffd 0x7f01", False),
            ("{futex} 0x7f00 0x80 0x2 0x0 0x0 0x0 0x7ffd 0x7f01", True),
            ("{futex} 0x7f00 0x189 0x2 0x0 0x0 0xffffffff 0x7ffd 0x7f01", True),
            ("{futex} 0x7f00 0x189 0x2 0x7ffe 0x0 0xffffffff 0x7ffd 0x7f01", False),
            ("{futex} 0x7f00 0x81 0x1 0x0 0x0 0x0 0x7ffd 0x7f01", False),
            ("0 0x3 0x7f00 0x400 0x0 0x0 0x0 0x7ffd 0x7f01", False),
            ("running", False),
            ("-1 0x7ffd 0x7f01", False),
            ("", False),
        ],
        ids=["shared with processes", "wait", "wait until", "with timeout", "wake", "read", "running", "blocked", "empty"],
    )
    def test_of_one_thread(self, monkeypatch, line, without_end):
        monkeypatch.setattr(stall, "_FUTEX", 202)
        assert stall._waits_without_end(line.format(futex=202)) is without_end

    def test_a_machine_whose_numbers_are_unknown_has_hangs_only(self, monkeypatch):
        monkeypatch.setattr(stall, "_FUTEX", None)
        assert not stall._waits_without_end("202 0x7f00 0x80 0x2 0x0 0x0 0x0 0x7ffd 0x7f01")


def test_stacks_show_every_thread():
    go, here = threading.Event(), threading.Barrier(2)

    def a_function_in_another_thread():
        here.wait()
        go.wait()

    thread = threading.Thread(target=a_function_in_another_thread)
    thread.start()
    here.wait()
    text = stacks()
    go.set()
    thread.join()
    assert "in a_function_in_another_thread" in text
    assert "in test_stacks_show_every_thread" in text

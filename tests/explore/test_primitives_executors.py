"""Executors and futures, timers, and what belongs to one thread alone, under control."""

import concurrent.futures
import contextvars
import threading
import time

import pytest

from ftcheck import concurrently
from ftcheck.explore.control import Ending
from tests.explore.conftest import CHANCE

LOCAL = threading.local()
VARIABLE = contextvars.ContextVar("VARIABLE", default=0)


class Total:
    def __init__(self):
        self.value = 0

    def add(self):
        self.value += 1


# --- Timer -------------------------------------------------------------------------------------------------------------


def test_a_timer_comes_after_its_interval(holds):
    def program():
        seen = []
        timer = threading.Timer(30, seen.append, ["rung"])
        timer.start()
        time.sleep(29)
        assert seen == []
        timer.join()
        assert seen == ["rung"]

    assert {round(run.seconds) for run in holds(program)} == {30}


def test_a_cancelled_timer_never_comes(holds):
    def program():
        seen = []
        timer = threading.Timer(30, seen.append, ["rung"])
        timer.start()
        time.sleep(1)
        timer.cancel()
        timer.join()
        assert seen == []

    assert {round(run.seconds) for run in holds(program)} == {1}


def test_a_timer_that_is_cancelled_at_its_time_may_come_or_not(explore):
    outcomes = set()

    def program():
        seen = []
        timer = threading.Timer(30, lambda: seen.append("rung"))
        timer.start()
        time.sleep(30)
        timer.cancel()
        timer.join()
        outcomes.add(tuple(seen))

    assert not any(run.failed for run in explore(program))
    assert outcomes == {(), ("rung",)}


# --- executors ---------------------------------------------------------------------------------------------------------


def test_an_executor(holds):
    def program():
        with concurrent.futures.ThreadPoolExecutor(2) as executor:
            first = executor.submit(pow, 2, 3)
            assert list(executor.map(lambda x: 2 * x, [1, 2, 3])) == [2, 4, 6]
            assert first.result() == 8
            assert first.done()
            assert not first.cancel()

    holds(program, schedules=8)


def test_futures_are_waited_for(holds):
    def program():
        with concurrent.futures.ThreadPoolExecutor(3) as executor:
            slow, quick = executor.submit(time.sleep, 60), executor.submit(time.sleep, 30)
            done, rest = concurrent.futures.wait([slow, quick], return_when=concurrent.futures.FIRST_COMPLETED)
            assert (done, rest) == ({quick}, {slow})
            assert list(concurrent.futures.as_completed([slow, quick])) == [quick, slow]
            late = executor.submit(time.sleep, 100)
            with pytest.raises(TimeoutError):
                late.result(timeout=10)
            assert concurrent.futures.wait([late], timeout=5).not_done == {late}

    assert {round(run.seconds) for run in holds(program, schedules=4)} == {160}


def test_what_a_task_raises_comes_out_of_its_future(holds):
    def program():
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            future, calls = executor.submit(divmod, 1, 0), []
            future.add_done_callback(calls.append)
            assert type(future.exception()) is ZeroDivisionError
            with pytest.raises(ZeroDivisionError):
                future.result()
        assert calls == [future]

    holds(program, schedules=8)


def test_shutdown_of_an_executor(holds):
    def program():
        executor = concurrent.futures.ThreadPoolExecutor(1)
        first, second = executor.submit(time.sleep, 10), executor.submit(time.sleep, 10)
        executor.shutdown(wait=False, cancel_futures=True)
        with pytest.raises(RuntimeError, match="after shutdown"):
            executor.submit(time.sleep, 1)
        executor.shutdown()
        assert second.cancelled()
        assert first.cancelled() or first.done()

    holds(program, schedules=8)


def test_tasks_that_wait_for_tasks_of_a_small_executor_are_a_deadlock(explore):
    def program():
        executor = concurrent.futures.ThreadPoolExecutor(1)

        def outer():
            return executor.submit(pow, 2, 2).result()

        with executor:
            executor.submit(outer).result()

    assert {run.ending for run in explore(program, schedules=3)} == {Ending.DEADLOCK}


def test_a_bug_in_an_executor_is_found(explore):
    def program():
        total = Total()

        def add():
            for _ in range(4):
                total.add()

        with concurrent.futures.ThreadPoolExecutor(2) as executor:
            for _ in range(2):
                executor.submit(add)
        assert total.value == 8

    for policy in CHANCE:
        assert any(run.failed for run in explore(program, [policy], schedules=100)), policy


# --- values of a thread ------------------------------------------------------------------------------------------------


def test_locals_are_fresh_in_each_body(holds):
    """The bodies run on pooled threads, one after the other on the same one."""

    def program():
        def body():
            assert not hasattr(LOCAL, "value")
            LOCAL.value = threading.get_ident()
            assert vars(LOCAL) == {"value": LOCAL.value}

        concurrently(body, body)
        concurrently(body, body)
        threads = [threading.Thread(target=body) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    holds(program, schedules=5)


def test_locals_of_the_test_itself_stay(holds):
    def program():
        LOCAL.mine = 1
        concurrently(lambda: setattr(LOCAL, "mine", 2))
        assert LOCAL.mine == 1
        del LOCAL.mine

    holds(program, schedules=2)


def test_a_subclass_of_local_begins_anew_in_each_body(holds):
    class Counted(threading.local):
        def __init__(self, start):
            self.count = start

    def program():
        own, counts = Counted(5), []

        def body():
            own.count += 1
            counts.append(own.count)

        concurrently(body, body, body)
        assert counts == [6, 6, 6]
        assert own.count == 5

    holds(program, schedules=5)


def test_context_variables_are_those_of_the_test_and_the_bodys_own(holds):
    def program():
        VARIABLE.set(1)

        def body():
            assert VARIABLE.get() == 1
            VARIABLE.set(2)
            assert VARIABLE.get() == 2

        concurrently(body, body)
        assert VARIABLE.get() == 1

    holds(program, schedules=2)
    assert VARIABLE.get() == 0


def test_what_is_given_up_is_not_reported_by_its_executor(explore, caplog):
    """That a worker is unwound is nobody's failure; what an executor has to say otherwise is still said."""

    def stuck():
        with concurrent.futures.ThreadPoolExecutor(2) as executor:
            executor.submit(threading.Event().wait)

    assert {run.ending for run in explore(stuck, schedules=4)} == {Ending.DEADLOCK}
    assert caplog.messages == []

    def broken():
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            executor.submit(pow, 2, 3).add_done_callback(lambda done: done.result() / 0)

    explore(broken, schedules=1)
    assert caplog.messages
    assert all(message.startswith("exception calling callback for ") for message in caplog.messages)


class Pools:
    """Of a module, as it were."""

    early = concurrent.futures.ThreadPoolExecutor(2)
    late = None


def test_an_executor_that_lives_on_works_in_each_run(holds):
    """Its workers do not: they end with their run, and it knows nothing of them in the next one."""

    def ask(pool):
        assert pool.submit(pow, 2, 3).result() == 8

    def at_first_use():
        if Pools.late is None:
            Pools.late = concurrent.futures.ThreadPoolExecutor(1)
        ask(Pools.late)

    holds(lambda: ask(Pools.early), schedules=3)
    holds(lambda: concurrently(lambda: ask(Pools.early), lambda: ask(Pools.early)), schedules=5)
    holds(at_first_use, schedules=3)
    assert Pools.early.submit(pow, 2, 3).result() == 8
    Pools.early.shutdown()
    Pools.late.shutdown()


def test_what_an_executor_was_to_do_in_a_run_that_was_given_up_is_not_done_in_the_next_one(explore):
    pool, done = concurrent.futures.ThreadPoolExecutor(1), []

    def stuck():
        pool.submit(threading.Event().wait)
        pool.submit(done.append, 1).result()

    assert {run.ending for run in explore(stuck, schedules=2)} == {Ending.DEADLOCK}
    pool.submit(done.append, 2).result()
    assert done == [2]
    pool.shutdown()

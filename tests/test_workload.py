"""workload.py: concurrently(), on its own: what it runs, what it raises, and what it refuses."""

import functools
import gc
import threading
import time
import traceback

import pytest

from ftcheck import concurrently, interpreter
from ftcheck.workload import run_once

pytestmark = pytest.mark.usefixtures("leaves_nothing_behind")
MANY = 4 * interpreter.cpus() + 1


def fails():
    raise KeyError("k")


def ends():
    raise SystemExit(3)


def fine():
    return "dropped"


class TestRuns:
    @pytest.mark.parametrize("number", [1, 2, 3, MANY])
    def test_each_body_once_all_at_the_same_time(self, number):
        """The bodies wait for each other: it ends only because all of them run at once."""
        together, ran = threading.Barrier(number), []

        def body(index):
            together.wait()
            ran.append((index, threading.get_ident()))
            together.wait()

        concurrently(*[functools.partial(body, index) for index in range(number)])
        assert sorted(index for index, _ in ran) == list(range(number))
        assert len({ident for _, ident in ran}) == number
        assert threading.get_ident() not in {ident for _, ident in ran}

    @pytest.mark.parametrize("number", [1, 2, MANY])
    def test_copies_of_one_body(self, number):
        together, ran = threading.Barrier(number), []
        concurrently(lambda: ran.append(together.wait()), threads=number)
        assert sorted(ran) == list(range(number))

    def test_returns_nothing(self):
        assert concurrently(fine, fine) is None

    def test_anything_that_can_be_called(self):
        class Callable:
            def __call__(self):
                ran.append("object")

            def method(self):
                ran.append("method")

        ran = []
        concurrently(Callable(), Callable().method, functools.partial(ran.append, "partial"), list)
        assert sorted(ran) == ["method", "object", "partial"]

    def test_nested(self):
        """Inner threads overlap with those of the other bodies."""
        together, ran = threading.Barrier(4), []

        def outer():
            concurrently(together.wait, together.wait)
            ran.append(1)

        concurrently(outer, outer)
        assert ran == [1, 1]

    def test_in_a_thread_that_is_not_the_main_one(self):
        ran = []
        thread = threading.Thread(target=lambda: concurrently(lambda: ran.append(1), lambda: ran.append(2)))
        thread.start()
        thread.join()
        assert sorted(ran) == [1, 2]

    def test_garbage_collection_in_all_bodies(self):
        concurrently(gc.collect, gc.collect, gc.collect)

    def test_waits_for_the_slowest(self):
        done = []
        concurrently(fine, lambda: (time.sleep(0.05), done.append(1)))
        assert done == [1]

    def test_stamps_say_when_each_ran(self):
        together = threading.Barrier(2)
        failures, stamps = run_once([together.wait, together.wait])
        assert failures == []
        assert max(start for start, _, _ in stamps) < min(end for _, end, _ in stamps)
        assert [calls for _, _, calls in stamps] == [1, 1]


class TestRaises:
    def test_all_failures_together_each_with_its_body(self):
        with pytest.raises(ExceptionGroup, match="2 of 3 concurrent bodies failed") as caught:
            concurrently(fails, fine, lambda: 1 // 0)
        first, second = caught.value.exceptions
        assert isinstance(first, KeyError)
        assert isinstance(second, ZeroDivisionError)
        assert first.__notes__ == ["in body 0 of 3 that ran concurrently: fails"]
        assert second.__notes__[0].startswith("in body 2 of 3 that ran concurrently: ")
        assert "<lambda>" in second.__notes__[0]

    @pytest.mark.parametrize("number", [1, 2, MANY])
    def test_one_for_each_copy_in_the_order_of_the_bodies(self, number):
        with pytest.raises(ExceptionGroup) as caught:
            concurrently(fails, threads=number)
        assert [one.__notes__ for one in caught.value.exceptions] == [
            [f"in body {index} of {number} that ran concurrently: fails"] for index in range(number)
        ]

    def test_a_single_failure_comes_in_a_group_too(self):
        """So that ``except*`` is always right."""
        caught = []
        try:
            concurrently(fails)
        except* KeyError as group:
            caught.extend(group.exceptions)
        assert len(caught) == 1

    @pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
    def test_what_is_no_exception_makes_a_base_exception_group(self, kind):
        def body():
            raise kind

        with pytest.raises(BaseExceptionGroup) as caught:
            concurrently(body, fails)
        assert not isinstance(caught.value, ExceptionGroup)
        assert {type(one) for one in caught.value.exceptions} == {kind, KeyError}

    def test_only_exceptions_make_an_exception_group(self):
        with pytest.raises(ExceptionGroup):
            concurrently(fails, fails)

    def test_nested_failures_keep_both_notes(self):
        def outer():
            concurrently(fails)

        with pytest.raises(ExceptionGroup) as caught:
            concurrently(outer)
        (inner,) = caught.value.exceptions
        assert inner.__notes__[0].endswith("outer")
        assert inner.exceptions[0].__notes__ == ["in body 0 of 1 that ran concurrently: fails"]

    def test_the_traceback_leads_to_the_line_that_raised(self):
        with pytest.raises(ExceptionGroup) as caught:
            concurrently(fails)
        assert traceback.extract_tb(caught.value.exceptions[0].__traceback__)[-1].line == 'raise KeyError("k")'

    def test_an_exception_that_takes_no_notes(self):
        class Stubborn(Exception):
            def add_note(self, note):
                raise RuntimeError

        def body():
            raise Stubborn

        with pytest.raises(ExceptionGroup) as caught:
            concurrently(body)
        assert type(caught.value.exceptions[0]).__name__ == "Stubborn"

    def test_one_exception_raised_by_two_bodies(self):
        shared = KeyError("shared")

        def body():
            raise shared

        with pytest.raises(ExceptionGroup) as caught:
            concurrently(body, body)
        assert caught.value.exceptions == (shared, shared)


class TestRefuses:
    @pytest.mark.parametrize(
        ("arguments", "keywords", "kind", "message"),
        [
            ((), {}, ValueError, "needs at least one callable"),
            ((), {"threads": 2}, ValueError, "needs at least one callable"),
            ((fine, None), {}, TypeError, "argument 1 is None, which cannot be called; pass the function"),
            ((fine(),), {}, TypeError, "argument 0 is 'dropped', which cannot be called"),
            ((fine, fine), {"threads": 2}, TypeError, "threads=N runs N copies of one callable"),
            ((fine,), {"threads": 0}, ValueError, "threads must be at least 1, not 0"),
            ((fine,), {"threads": -1}, ValueError, "threads must be at least 1, not -1"),
            ((fine,), {"threads": True}, TypeError, "threads must be a whole number, not True"),
            ((fine,), {"threads": 2.0}, TypeError, r"threads must be a whole number, not 2\.0"),
            ((fine,), {"threads": "2"}, TypeError, "threads must be a whole number, not '2'"),
        ],
    )
    def test_and_says_why(self, arguments, keywords, kind, message):
        with pytest.raises(kind, match=message):
            concurrently(*arguments, **keywords)

    def test_before_anything_has_run(self):
        ran = []
        with pytest.raises(TypeError):
            concurrently(lambda: ran.append(1), 5)
        assert ran == []


def test_a_thread_that_cannot_be_started(monkeypatch):
    """Those that have started already wait at the line; they are freed, and no body runs."""
    start, started, ran = threading.Thread.start, [], []

    def refuse_the_third(thread):
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_the_third)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        concurrently(lambda: ran.append(1), threads=4)
    for thread in started:
        thread.join()
    assert ran == []


def test_a_caller_that_is_interrupted_does_not_wait(monkeypatch):
    """Ctrl-C while the bodies run: it comes up at once, and the bodies are left to end."""
    go, here = threading.Event(), threading.Barrier(3)

    def body():
        here.wait()
        go.wait()

    def interrupted(thread, timeout=None):
        here.wait()
        raise KeyboardInterrupt

    before = set(threading.enumerate())
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "join", interrupted)
        with pytest.raises(KeyboardInterrupt):
            concurrently(body, body)
    go.set()
    for thread in set(threading.enumerate()) - before:
        thread.join()

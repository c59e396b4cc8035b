"""engine.py: the order of a round, the limits of a run, and that no failure of any kind is lost.

Bodies that must overlap wait for each other at a barrier, so that they do on any machine, however loaded.
"""

import _thread
import contextvars
import gc
import sys
import threading
import time
import weakref

import pytest

import ftcheck
from ftcheck import interpreter, stress
from ftcheck.option_table import SettingsError
from ftcheck.stress import noise
from ftcheck.workload import supervisor
from tests.stress.conftest import Functions, settings

MANY = 4 * interpreter.cpus() + 1
ANY_KIND = [
    AssertionError, KeyError, StopIteration, SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError,
    lambda: BaseExceptionGroup("several", [SystemExit()]),
]  # fmt: skip


def raises(kind):
    def raiser(*numbers):
        raise kind()

    return raiser


class TestRound:
    @pytest.mark.parametrize("repeatable", [False, True])
    @pytest.mark.parametrize("threads", [2, 3, 8, MANY])
    def test_every_body_runs_on_a_thread_of_its_own_at_the_same_time(self, run, threads, repeatable):
        together = threading.Barrier(threads)
        idents = {}

        def body(thread, round):
            together.wait()
            idents.setdefault(thread, set()).add(threading.get_ident())
            together.wait()

        outcome = run(Functions(body, repeatable=repeatable), threads=threads, rounds=3)
        assert outcome.failures == ()
        assert outcome.stall is None
        assert len(set().union(*idents.values())) == len(idents) == threads
        coverage = outcome.coverage
        assert (coverage.threads, coverage.rounds, coverage.overlapped) == (threads, 3, 3)
        assert (coverage.failed, coverage.limit, coverage.gil) == (0, "rounds", interpreter.gil_enabled())
        assert coverage.calls >= 3 * threads

    def test_one_thread_never_overlaps(self, run):
        outcome = run(Functions(), threads=1)
        assert (outcome.coverage.threads, outcome.coverage.rounds, outcome.coverage.overlapped) == (1, 5, 0)

    def test_one_thread_runs_the_bodies_that_a_test_brings_one_after_the_other(self, run):
        """The control: each on a thread of its own, in order, to the end, also those of bodies; no failure is lost."""
        running, log = [], []

        def inner():
            running.append(threading.get_ident())
            log.append(len(running))
            running.pop()

        def outer():
            running.append(threading.get_ident())
            ftcheck.concurrently(inner, threads=2)
            running.pop()
            raise KeyError

        outcome = run(Functions(lambda *numbers: ftcheck.concurrently(outer, inner, outer)), threads=1, rounds=2)
        assert log == [2, 2, 1, 2, 2] * 2
        assert (outcome.coverage.threads, outcome.coverage.rounds, outcome.coverage.overlapped) == (3, 2, 0)
        assert [len(one.exception.exceptions) for one in outcome.failures] == [2, 2]

    def test_the_order_of_its_parts(self, run):
        workload = Functions()
        run(workload, threads=3, rounds=2)
        log = [(what, *numbers) for what, *numbers in workload.log]
        for round in (1, 2):
            part = [entry for entry in log if entry[-1] == round]
            what = [entry[0] for entry in part]
            assert what[0] == "open"
            assert what[1:4] == ["prepare"] * 3
            assert sorted(what[4:10]) == ["body"] * 3 + ["cleanup"] * 3
            assert what[10:] == ["close"]
            for thread in range(3):
                assert part.index(("body", thread, round)) < part.index(("cleanup", thread, round))
        assert [entry[-1] for entry in log] == sorted(entry[-1] for entry in log)

    def test_a_repeatable_workload_is_prepared_once(self, run):
        workload = Functions(repeatable=True)
        run(workload, threads=3, rounds=4)
        assert (workload.count("prepare"), workload.count("cleanup")) == (3, 3)
        assert (workload.count("open"), workload.count("close")) == (4, 4)
        assert workload.log[0] == ("open", 1)
        assert [what for what, *_ in workload.log[-4:]] == ["close", *["cleanup"] * 3]

    def test_a_short_repeatable_body_is_called_many_times_in_a_round(self, run):
        """A call takes about a microsecond and the calls fill 200 of them. Only if in each of 20 rounds a body is
        stopped for longer than 50 times that would there be few calls: about 1e-2 a round on a loaded machine, so 1e-40.
        """
        outcome = run(Functions(repeatable=True), rounds=20)
        assert outcome.coverage.calls > 4 * 2 * 20

    def test_a_body_with_a_set_up_of_its_own_is_called_once(self, run):
        outcome = run(Functions(), threads=3, rounds=4)
        assert outcome.coverage.calls == 12

    def test_set_ups_and_teardowns_run_one_at_a_time(self, run):
        inside = threading.Lock()

        def alone(*numbers):
            assert inside.acquire(blocking=False), "another one runs at the same time"
            time.sleep(0.002)
            inside.release()

        outcome = run(Functions(open=alone, prepare_=alone, cleanup_=alone, close=alone), threads=8, rounds=3)
        assert outcome.failures == ()

    def test_garbage_collection_in_one_body_while_others_wait(self, run):
        """A collection stops the world; threads that wait at the start line, or block, do not hold it up."""
        together = threading.Barrier(3)

        def body(thread, round):
            if thread == 0:
                gc.collect()
            together.wait()
            gc.collect()

        outcome = run(Functions(body, open=lambda *n: gc.collect(), prepare_=lambda *n: gc.collect()), threads=3, rounds=2)
        assert outcome.stall is None
        assert outcome.coverage.rounds == 2

    def test_results_and_bodies_are_not_kept(self, run):
        """What a round made is gone when the run is over."""

        class Result:
            pass

        made = []

        def body(thread, round):
            result = Result()
            made.append(weakref.ref(result))
            return result

        run(Functions(body))
        gc.collect()
        assert len(made) == 10
        assert [reference() for reference in made] == [None] * 10


class TestLimits:
    @pytest.mark.parametrize("rounds", [1, 2, 17])
    def test_rounds(self, run, rounds):
        coverage = run(Functions(), rounds=rounds).coverage
        assert (coverage.rounds, coverage.limit) == (rounds, "rounds")

    def test_seconds(self, run):
        """No new round begins once they are over: the first one lasts longer."""
        coverage = run(Functions(lambda *numbers: time.sleep(0.02)), rounds=None, seconds=0.01).coverage
        assert (coverage.rounds, coverage.limit) == (1, "seconds")
        assert coverage.seconds > 0.01

    def test_the_first_limit_that_is_reached_counts(self, run):
        assert run(Functions(), rounds=3, seconds=1000.0).coverage.limit == "rounds"
        assert run(Functions(lambda *n: time.sleep(0.02)), rounds=10**9, seconds=0.01).coverage.limit == "seconds"

    @pytest.mark.parametrize("repeatable", [False, True])
    def test_enough_failing_rounds_are_enough(self, run, repeatable):
        outcome = run(Functions(raises(KeyError), repeatable=repeatable), rounds=10**9)
        coverage = outcome.coverage
        assert (coverage.rounds, coverage.failed, coverage.limit) == (20, 20, "failures")
        assert sorted((one.round, one.thread) for one in outcome.failures) == [
            (round, thread) for round in range(1, 21) for thread in range(2)
        ]

    def test_rounds_count_that_fail_not_failures(self, run):
        def every_third(thread, round):
            if round % 3 == 0:
                raise KeyError

        coverage = run(Functions(every_third), rounds=10**9).coverage
        assert (coverage.rounds, coverage.failed, coverage.limit) == (60, 20, "failures")

    def test_settled_is_asked_after_each_failing_round_with_all_failures(self, run):
        asked = []

        def settled(failures):
            asked.append(len(failures))
            return len(failures) >= 6

        coverage = run(Functions(raises(KeyError)), rounds=10, settled=settled).coverage
        assert (coverage.rounds, coverage.limit, asked) == (3, "settled", [2, 4, 6])

    def test_settled_that_raises_is_said_and_ends_the_run(self, run):
        outcome = run(Functions(raises(KeyError)), rounds=10, settled=lambda failures: 1 // 0)
        assert [type(one.exception) for one in outcome.failures if one.phase == "harness"] == [ZeroDivisionError]
        assert outcome.coverage.rounds == 1


class TestFailures:
    @pytest.mark.parametrize("kind", ANY_KIND)
    @pytest.mark.parametrize("repeatable", [False, True])
    def test_of_any_kind_in_a_body(self, run, kind, repeatable):
        """Kept with thread and round; the other thread and the rounds after it go on."""
        raised = kind()

        def body(thread, round):
            if (thread, round) == (1, 2) or (repeatable and thread == 1 and not raised.__traceback__):
                raise raised

        outcome = run(Functions(body, repeatable=repeatable), rounds=4)
        (failure,) = outcome.failures
        assert failure.exception is raised
        assert (failure.thread, failure.phase) == (1, "body")
        assert repeatable or failure.round == 2
        assert (outcome.coverage.rounds, outcome.coverage.failed, outcome.coverage.limit) == (4, 1, "rounds")

    @pytest.mark.parametrize("kind", ANY_KIND)
    def test_of_any_kind_in_a_threads_set_up(self, run, kind):
        """That thread has no body in this round, the others do; its teardown is called all the same."""

        def prepare(thread, round):
            if (thread, round) == (1, 2):
                raise kind()

        workload = Functions(prepare_=prepare)
        outcome = run(workload, rounds=3)
        (failure,) = outcome.failures
        assert (failure.thread, failure.round, failure.phase) == (1, 2, "set-up")
        assert outcome.coverage.calls == 5
        assert ("body", 0, 2) in workload.log
        assert ("body", 1, 2) not in workload.log
        assert ("cleanup", 1, 2) in workload.log

    @pytest.mark.parametrize("kind", ANY_KIND)
    def test_of_any_kind_in_a_threads_teardown(self, run, kind):
        def cleanup(thread, round):
            if (thread, round) == (1, 2):
                raise kind()

        outcome = run(Functions(cleanup_=cleanup), rounds=3)
        (failure,) = outcome.failures
        assert (failure.thread, failure.round, failure.phase) == (1, 2, "teardown")
        assert outcome.coverage.rounds == 3

    def test_in_a_body_and_its_teardown_are_two(self, run):
        outcome = run(Functions(raises(KeyError), cleanup_=raises(ValueError)), rounds=1)
        assert sorted((one.phase, one.thread) for one in outcome.failures) == [
            ("body", 0), ("body", 1), ("teardown", 0), ("teardown", 1),
        ]  # fmt: skip

    @pytest.mark.parametrize("kind", ANY_KIND)
    @pytest.mark.parametrize("repeatable", [False, True])
    @pytest.mark.parametrize("bad", [1, 3])
    def test_in_what_the_threads_share_ends_the_run_before_the_bodies(self, run, kind, repeatable, bad):
        def open_round(round):
            if round == bad:
                raise kind()

        workload = Functions(open=open_round, repeatable=repeatable)
        outcome = run(workload)
        (failure,) = outcome.failures
        assert (failure.thread, failure.round, failure.phase) == (-1, bad, "set-up")
        assert outcome.coverage.limit == "failures"
        after = workload.log[workload.log.index(("open", bad)) + 1 :]
        assert {what for what, *_ in after} <= ({"cleanup"} if repeatable and bad > 1 else set())

    @pytest.mark.parametrize("kind", ANY_KIND)
    def test_in_the_teardown_of_what_they_share(self, run, kind):
        def close_round(round):
            if round == 2:
                raise kind()

        outcome = run(Functions(close=close_round), rounds=3)
        (failure,) = outcome.failures
        assert (failure.thread, failure.round, failure.phase) == (-1, 2, "teardown")
        assert outcome.coverage.rounds == 3

    def test_an_exception_in_del_is_one_of_that_thread(self, run):
        class Dying:
            def __del__(self):
                raise ValueError("in __del__")

        def body(thread, round):
            if (thread, round) == (1, 2):
                Dying()

        outcome = run(Functions(body), rounds=3)
        (failure,) = outcome.failures
        assert (failure.thread, failure.round, failure.phase) == (1, 2, "background")
        assert str(failure.exception) == "in __del__"

    def test_an_exception_in_a_thread_of_the_bodys_own(self, run):
        def body(thread, round):
            own = threading.Thread(target=raises(KeyError))
            own.start()
            own.join()

        outcome = run(Functions(body), rounds=2)
        assert [(one.thread, one.phase) for one in outcome.failures] == [(-1, "background")] * 4
        assert outcome.coverage.failed == 2


class TestOwnThreads:
    """Bodies that call ``concurrently()`` run one copy at a time."""

    @pytest.mark.parametrize("own_threads", [True, False])
    @pytest.mark.parametrize("repeatable", [True, False])
    def test_one_copy_at_a_time_and_the_overlap_is_that_of_its_threads(self, run, own_threads, repeatable):
        copies, most = threading.Semaphore(1), []

        def body(thread, round):
            together = threading.Barrier(3)
            ftcheck.concurrently(together.wait, threads=3)
            most.append(copies.acquire(blocking=False))
            ftcheck.concurrently(nothing_much, nothing_much)
            copies.release()

        outcome = run(Functions(body, repeatable=repeatable), threads=4, rounds=6, own_threads=own_threads)
        assert outcome.failures == ()
        assert most == [True] * 6
        coverage = outcome.coverage
        assert (coverage.threads, coverage.rounds, coverage.overlapped, coverage.calls) == (3, 6, 6, 6)
        assert coverage.limit == "rounds"

    def test_failures_of_its_threads_are_the_bodys(self, run):
        outcome = run(Functions(lambda *n: ftcheck.concurrently(raises(KeyError))), rounds=1, own_threads=True)
        (failure,) = outcome.failures
        assert failure.exception.subgroup(KeyError)
        assert failure.phase == "body"

    @pytest.mark.parametrize("part", ["prepare_", "cleanup_", "open", "close"])
    def test_in_a_set_up_or_teardown_it_is_no_failure(self, run, part):
        outcome = run(Functions(**{part: lambda *numbers: ftcheck.concurrently(nothing_much)}), threads=3, rounds=4)
        assert outcome.failures == ()
        assert outcome.coverage.rounds == 4

    @pytest.mark.parametrize("threads", [2, MANY])
    def test_a_body_that_catches_everything_is_noticed_too(self, run, threads):
        """The engine must not depend on its own exception coming through the code under test."""
        seen = []

        def body(thread, round):
            try:
                ftcheck.concurrently(nothing_much)
            except BaseException as swallowed:
                seen.append(type(swallowed))
            else:
                seen.append(None)

        outcome = run(Functions(body), threads=threads, rounds=4)
        assert seen[-4:] == [None] * 4
        assert outcome.coverage.calls == 4
        assert outcome.failures == ()

    def test_a_body_that_wraps_what_is_raised_does_not_fail(self, run):
        """As a task group does."""

        def body(thread, round):
            try:
                ftcheck.concurrently(nothing_much)
            except BaseException as raised:
                raise BaseExceptionGroup("from a task group", [raised]) from None

        outcome = run(Functions(body), threads=3, rounds=4)
        assert outcome.failures == ()
        assert outcome.coverage.calls == 4

    def test_failures_of_the_copies_that_were_abandoned_do_not_count(self, run):
        together = threading.Barrier(2)

        def body(thread, round):
            if supervisor.get()._copies > 1:
                together.wait()
                if thread:
                    raise KeyError("two copies disturb each other")
            ftcheck.concurrently(nothing_much)

        outcome = run(Functions(body), rounds=4)
        assert outcome.failures == ()
        assert outcome.coverage.calls == 4

    def test_nested_calls_run(self, run):
        ran = []

        def inner():
            ran.append(1)

        outcome = run(
            Functions(lambda *n: ftcheck.concurrently(lambda: ftcheck.concurrently(inner, inner), inner)),
            rounds=3,
            own_threads=True,
        )
        assert outcome.failures == ()
        assert len(ran) == 9


def nothing_much():
    pass


colour = contextvars.ContextVar("colour", default="none")


class TestContext:
    def test_bodies_see_what_the_caller_has_set(self, run):
        seen = []
        token = colour.set("the caller's")
        run(Functions(lambda *numbers: seen.append(colour.get())), rounds=2)
        colour.reset(token)
        assert seen == ["the caller's"] * 4

    @pytest.mark.parametrize("repeatable", [False, True])
    def test_what_a_body_sets_is_gone_in_the_next_round_and_in_other_threads(self, run, repeatable):
        seen, together = set(), threading.Barrier(2)

        def body(thread, round):
            together.wait()
            seen.add(colour.get())
            together.wait()
            token = colour.set(f"{thread} {round}")
            if repeatable:  # several calls in one round share its context
                colour.reset(token)

        run(Functions(body, repeatable=repeatable), rounds=4)
        assert seen == {"none"}
        assert colour.get() == "none"

    @pytest.mark.parametrize("repeatable", [False, True])
    def test_bodies_and_teardowns_see_what_their_own_set_up_has_set(self, run, repeatable):
        """As pytest's fixtures do for a test: ``decimal.localcontext()`` in a fixture sets a context variable."""
        seen, tokens = set(), {}

        def prepare(thread, round):
            tokens[thread] = colour.set(f"of thread {thread}")

        def body(thread, round):
            seen.add((thread, colour.get()))

        def cleanup(thread, round):
            colour.reset(tokens[thread])

        outcome = run(Functions(body, prepare_=prepare, cleanup_=cleanup, repeatable=repeatable), rounds=3)
        assert outcome.failures == ()
        assert seen == {(0, "of thread 0"), (1, "of thread 1")}

    def test_bodies_see_what_the_shared_set_up_has_set_and_its_teardown_can_reset_it(self, run):
        seen, tokens = set(), []

        def open_round(round):
            tokens.append(colour.set(f"of round {round}"))

        outcome = run(
            Functions(
                lambda thread, round: seen.add((round, colour.get())),
                open=open_round,
                close=lambda round: colour.reset(tokens.pop()),
            ),
            rounds=20,
        )
        assert outcome.failures == ()
        assert seen == {(round, f"of round {round}") for round in range(1, 21)}


class TestProcess:
    def test_with_the_gil_on_threads_take_short_turns(self, run):
        seen = set()
        before = sys.getswitchinterval()
        run(Functions(lambda *numbers: seen.add(sys.getswitchinterval())))
        (during,) = seen
        assert during == pytest.approx(1e-5 if interpreter.gil_enabled() else before)
        assert sys.getswitchinterval() == before

    def test_ctrl_c_ends_the_run(self, leaves_nothing_behind):
        """KeyboardInterrupt comes up in the caller; the threads end with their round."""
        pressed = threading.Event()

        def body(thread, round):
            if round == 3 and thread == 0 and not pressed.is_set():
                pressed.set()
                _thread.interrupt_main()

        before = set(threading.enumerate())
        with pytest.raises(KeyboardInterrupt):
            stress.run(Functions(body), settings(rounds=None))
        for thread in set(threading.enumerate()) - before:
            thread.join()
        assert pressed.is_set()

    def test_a_thread_that_cannot_be_started(self, monkeypatch, leaves_nothing_behind):
        start, started = threading.Thread.start, []

        def refuse_the_third(thread):
            if len(started) == 2:
                raise RuntimeError("can't start new thread")
            started.append(thread)
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", refuse_the_third)
        workload = Functions()
        with pytest.raises(RuntimeError, match="can't start new thread"):
            stress.run(workload, settings(threads=4))
        for thread in started:
            thread.join()
        assert len(started) == 2
        assert workload.log == []

    def test_noise_without_a_free_tool_id_starts_nothing(self, run):
        free = [number for number in range(6) if sys.monitoring.get_tool(number) is None]
        for number in free:
            sys.monitoring.use_tool_id(number, "another tool")
        workload = Functions()
        try:
            with pytest.raises(SettingsError, match="noise"):
                run(workload, noise=0.5)
        finally:
            for number in free:
                sys.monitoring.free_tool_id(number)
        assert workload.log == []

    def test_noise_reaches_the_bodies_and_only_them(self, run, monkeypatch):
        seen = set()

        class Time:
            @staticmethod
            def sleep(seconds):
                seen.add(sys._getframe(2).f_code.co_name)

        monkeypatch.setattr(noise, "time", Time)
        together = threading.Barrier(2)

        def the_body(thread, round):
            together.wait()

        def the_set_up(thread, round):
            return None

        run(Functions(the_body, prepare_=the_set_up, cleanup_=the_set_up, open=the_set_up_of_all), noise=1.0)
        assert "the_body" in seen
        assert not seen & {"the_set_up", "the_set_up_of_all"}


def the_set_up_of_all(round):
    return None

"""startline.c: everyone waits for the last, the last one leads, giving up frees all, and stamps say who ran when."""

import functools
import gc
import os
import threading
import time
import weakref

import pytest

from ftcheck import interpreter
from ftcheck._core import BrokenStartLine, StartLine

MANY = 4 * interpreter.cpus() + 1
PARTIES = [1, 2, 3, MANY]
spinning = pytest.mark.parametrize("spin", [0, 2, 99], ids=["block", "two spin", "all spin"])


def nothing():
    pass


class TestMisuse:
    @pytest.mark.parametrize("parties", [0, -1, -(2**31)])
    def test_at_least_one_party(self, parties):
        with pytest.raises(ValueError, match="parties must be at least 1"):
            StartLine(parties)

    @pytest.mark.parametrize(
        ("arguments", "keywords"), [((), {}), (("two",), {}), ((2.5,), {}), ((2, True), {}), ((2,), {"spinn": True})]
    )
    def test_wrong_arguments(self, arguments, keywords):
        with pytest.raises(TypeError):
            StartLine(*arguments, **keywords)

    def test_more_parties_than_a_number_can_be(self):
        with pytest.raises(OverflowError):
            StartLine(2**40)

    @pytest.mark.parametrize("index", [-1, 1, 7])
    def test_an_index_that_is_no_party(self, index):
        with pytest.raises(IndexError, match="is not one of the 1 parties"):
            StartLine(1).run(index, 1, nothing, 1)

    @pytest.mark.parametrize("arguments", [(), (0,), (0, 1), (0, 1, nothing), ("0", 1, nothing, 1), (0, 1, nothing, "1")])
    def test_run_with_wrong_arguments(self, arguments):
        with pytest.raises(TypeError):
            StartLine(1).run(*arguments)

    def test_meet_with_two_leaders(self):
        with pytest.raises(TypeError, match="integer"):
            StartLine(1).meet(nothing, nothing)

    @pytest.mark.parametrize("call", [lambda line: line.meet(None, 1, 1), lambda line: line.stand_down(1)])
    def test_no_such_party(self, call):
        with pytest.raises(IndexError, match="index 1 is not one of the 1 parties"):
            call(StartLine(1))

    @pytest.mark.parametrize("what", ["meet", "run"])
    def test_what_cannot_be_called(self, what):
        line = StartLine(1)
        with pytest.raises(TypeError, match="not callable"):
            line.meet(5) if what == "meet" else line.run(0, 1, 5, 1)

    def test_it_has_no_subclasses(self):
        with pytest.raises(TypeError):
            type("Sub", (StartLine,), {})


class TestMeet:
    @pytest.mark.parametrize("parties", PARTIES)
    def test_exactly_one_leads_and_it_does_before_anyone_goes_on(self, in_threads, parties):
        """Over several generations: nobody passes twice while another has not passed once."""
        line, led, passed = StartLine(parties), [], []

        def party():
            leads = 0
            for generation in range(1, 21):
                leads += line.meet(lambda: led.append(len(passed)))
                assert len(led) >= generation
                passed.append(generation)
            return leads

        results = in_threads(*[party] * parties)
        assert sum(results) == len(led) == 20
        # When the leader of generation g calls, every party has passed g times: nobody is further back, nobody ahead.
        assert led == [parties * generation for generation in range(20)]

    @pytest.mark.parametrize("leader", [(), (None,)])
    def test_without_a_leaders_callable(self, in_threads, leader):
        line = StartLine(3)
        assert sorted(in_threads(*[lambda: line.meet(*leader)] * 3)) == [False, False, True]

    @pytest.mark.parametrize("kind", [KeyError, SystemExit, KeyboardInterrupt])
    def test_a_leader_that_raises_breaks_the_line_for_all(self, in_threads, kind):
        line = StartLine(3)

        def leader():
            raise kind

        results = in_threads(*[lambda: line.meet(leader)] * 3)
        assert sorted(type(one).__name__ for one in results) == sorted(["BrokenStartLine"] * 2 + [kind.__name__])
        with pytest.raises(BrokenStartLine):
            line.meet()

    def test_others_wait_while_the_leader_works(self, in_threads):
        line, done = StartLine(4), []

        def leader():
            gc.collect()  # stops the world: those who wait must not hold it up
            time.sleep(0.01)
            done.append(1)

        def party():
            line.meet(leader)
            return list(done)

        assert in_threads(*[party] * 4) == [[1]] * 4


@spinning
class TestRun:
    @pytest.mark.parametrize("parties", PARTIES)
    def test_all_are_in_their_bodies_at_the_same_time(self, in_threads, parties, spin):
        """More spinners than CPUs get by, too: they let the others in."""
        line, together = StartLine(parties, spin=spin), threading.Barrier(parties)

        def party(index):
            for round in range(1, 6):
                line.run(index, round, together.wait, 1)
            return "over"

        assert in_threads(*[functools.partial(party, index) for index in range(parties)]) == ["over"] * parties
        stamps = line.stamps()
        assert max(start for start, _, _ in stamps) < min(end for _, end, _ in stamps)

    @pytest.mark.parametrize("repeat", [0, 1, 7])
    def test_calls_the_body_so_often_and_says_when(self, in_threads, repeat, spin):
        line, calls = StartLine(2, spin=spin), ([], [])
        before = time.monotonic_ns()
        results = in_threads(
            *[lambda index=index: line.run(index, 1, lambda: calls[index].append(1), repeat) for index in range(2)]
        )
        after = time.monotonic_ns()
        assert results == [None, None]
        assert [len(one) for one in calls] == [repeat, repeat]
        for start, end, count in line.stamps():
            assert before <= start <= end <= after
            assert count == repeat

    @pytest.mark.parametrize("kind", [KeyError, SystemExit, KeyboardInterrupt, GeneratorExit])
    def test_a_body_that_raises_ends_its_own_calls_only(self, in_threads, kind, spin):
        line, calls = StartLine(2, spin=spin), []

        def raises_at_the_third_call():
            calls.append(1)
            if len(calls) == 3:
                raise kind

        results = in_threads(lambda: line.run(0, 1, raises_at_the_third_call, 10), lambda: line.run(1, 1, nothing, 10))
        assert isinstance(results[0], kind)
        assert results[1] is None
        assert [count for _, _, count in line.stamps()] == [3, 10]
        assert in_threads(lambda: line.run(0, 2, nothing, 1), lambda: line.run(1, 2, nothing, 1)) == [None, None]

    def test_ready_parties_have_met_already(self, in_threads, spin):
        line, together = StartLine(3, spin=spin), threading.Barrier(3)

        def party(index):
            for round in range(1, 11):
                line.meet()
                line.run(index, round, together.wait, 1, True)
            return "over"

        assert in_threads(*[functools.partial(party, index) for index in range(3)]) == ["over"] * 3

    def test_every_cpu_is_given_back(self, in_threads, spin):
        """Bound to a CPU for the start only: not in the leader's work, not in the body, not after standing down."""
        line, seen = StartLine(MANY, spin=spin), []
        mine = os.sched_getaffinity(0)

        def look():
            seen.append(os.sched_getaffinity(0))

        def party(index):
            for round in range(1, 20):
                line.meet(look, index, round)
                line.run(index, round, look, 1, spin > 0)
            line.meet(look, index, 20)
            line.stand_down(index)
            look()
            line.run(index, 20, look, 1, False)

        assert in_threads(*[functools.partial(party, index) for index in range(MANY)]) == [None] * MANY
        assert len(seen) == 20 + MANY * 21
        assert all(one == mine for one in seen)

    def test_a_line_that_is_given_up_gives_every_cpu_back(self, in_threads, spin):
        line, here = StartLine(2, spin=spin), threading.Event()

        def waits():
            here.set()
            with pytest.raises(BrokenStartLine):
                line.meet(None, 0, 1)
            return os.sched_getaffinity(0)

        def gives_up():
            here.wait()
            line.abort()

        assert in_threads(waits, gives_up) == [os.sched_getaffinity(0), None]

    def test_a_garbage_collection_is_not_held_up_by_those_who_wait(self, in_threads, spin):
        line, entered = StartLine(3, spin=spin), threading.Barrier(3)

        def waits(index):
            entered.wait()
            return line.run(index, 1, nothing, 1)

        def collects():
            entered.wait()
            for _ in range(3):
                gc.collect()
            return line.run(2, 1, gc.collect, 1)

        assert in_threads(lambda: waits(0), lambda: waits(1), collects) == [None] * 3

    def test_results_and_bodies_are_released(self, in_threads, spin):
        class Body:
            def __call__(self):
                return self

        line, body = StartLine(1, spin=spin), Body()
        reference = weakref.ref(body)
        line.run(0, 1, body, 5)
        line.meet(body)
        del body
        gc.collect()
        assert reference() is None

    def test_stamps_of_parties_that_never_ran_are_empty(self, spin):
        assert StartLine(3, spin=spin).stamps() == [(0, 0, 0)] * 3


class TestAbort:
    @pytest.mark.parametrize("what", ["meet", "run, block", "run, spin", "run, ready"])
    def test_those_who_wait_are_freed(self, in_threads, what):
        line, here = StartLine(4, spin=0 if "block" in what else 99), threading.Barrier(4)
        called = []

        def party(index):
            here.wait()
            if what == "meet":
                return line.meet(lambda: called.append(index))
            return line.run(index, 1, lambda: called.append(index), 1, "ready" in what)

        def gives_up():
            here.wait()
            time.sleep(0.01)  # the others are most likely waiting by now; if not, they find the line broken
            line.abort()

        results = in_threads(lambda: party(0), lambda: party(1), lambda: party(2), gives_up)
        assert [type(one) for one in results[:3]] == [BrokenStartLine] * 3
        assert called == []

    @pytest.mark.parametrize("arguments", [(), (nothing,)])
    def test_those_who_come_later_do_not_wait(self, arguments):
        line = StartLine(2)
        line.abort()
        line.abort()
        with pytest.raises(BrokenStartLine, match="the round was given up"):
            line.meet(*arguments)
        with pytest.raises(BrokenStartLine):
            line.run(0, 1, nothing, 1)

    def test_the_last_one_neither_leads_nor_runs(self):
        line, called = StartLine(1), []
        line.abort()
        with pytest.raises(BrokenStartLine):
            line.meet(lambda: called.append(1))
        with pytest.raises(BrokenStartLine):
            line.run(0, 1, lambda: called.append(1), 1)
        assert called == []

    @spinning
    def test_from_a_body_the_round_ends_and_the_next_does_not_begin(self, in_threads, spin):
        line, together = StartLine(2, spin=spin), threading.Barrier(2)

        def gives_up():
            together.wait()
            line.abort()

        def party(index):
            line.run(index, 1, gives_up, 1)
            return line.run(index, 2, gives_up, 1)

        results = in_threads(lambda: party(0), lambda: party(1))
        assert [type(one) for one in results] == [BrokenStartLine] * 2
        assert [calls for _, _, calls in line.stamps()] == [0, 0]

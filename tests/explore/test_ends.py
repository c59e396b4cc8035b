"""The end of a thread is an operation where somebody asks for it, and costs nothing where nobody does (``_core/ends.c``).

Every schedule of a brute force is run again from its decisions alone, both where it is not yet known that somebody asks and
where it is: a token must do the same in each process.
"""

import threading
import time

import pytest

from ftcheck import _core, concurrently
from ftcheck.explore.control import Attempt, Ending, Log
from ftcheck.explore.schedule import Why
from ftcheck.explore.search import Budget
from ftcheck.explore.search import search as whole_search
from tests.explore import brute, small_sync
from tests.explore.conftest import END, LOOK, Scope, outcome
from tests.explore.search import Found, search, settle

ASKING = [
    "daemon_that_is_looked_at", "thread_that_has_nothing_to_do", "thread_that_is_looked_at",
    "thread_that_is_looked_at_now_and_then", "thread_that_is_shown", "threads_that_are_looked_at",
]  # fmt: skip
NOT_ASKING = ["thread_of_a_thread", "thread_that_nobody_joins"]
MANY = 3_000
"""Runs: more than there are."""
LARGE = "threads_that_are_looked_at"
"""Here, no more than one preemption."""


@pytest.fixture
def entered(control):
    return control(Scope([small_sync.__file__]), limit=3_000)


def recorded(control, program, attempt):
    """A run, with what the program returned and the steps that it noted."""
    returned = []
    run = control.run(lambda: returned.append(program()), attempt, Log.SWITCHES | Log.DECISIONS | Log.OPERATIONS)
    return run, returned


def stopped_before_their_end(rows):
    """Threads that were preempted at a point behind their last one."""
    last = {}
    for thread, step, kind, *_ in _core.trace()[2]:
        last[thread] = max(step, last.get(thread, 0)) if kind != END else last.get(thread, 0)
    return [thread for thread, step, why, _ in rows if why == Why.PREEMPTED and step > last[thread]]


@pytest.mark.parametrize("name", ASKING)
def test_a_schedule_is_the_same_whether_it_was_asked_before_or_not(entered, name):
    program, stopped_at_an_end = small_sync.PROGRAMS[name], 0
    settle(entered, program)
    schedules = [one[0] for one in brute.schedules(entered, program, 1 if name == LARGE else 99, MANY) if one is not None]
    for found in schedules:
        seen = []
        for before in (lambda: None, _core.cool):
            before()
            run, returned = recorded(entered, program, Attempt("plan", found.schedule.to_core()))
            assert _core.unmatched() == 0
            seen.append((outcome(run), returned, run.schedule, run.steps, run.preemptions, list(_core.trace()[2][-1][:4])))
            stopped_at_an_end += bool(stopped_before_their_end(run.rows))
        assert seen[0] == seen[1]
        assert seen[0][2] == found.schedule
    assert stopped_at_an_end


@pytest.mark.parametrize("name", [name for name in ASKING if name != LARGE])
def test_nothing_depends_on_when_it_was_asked_first(entered, name):
    """Searches that begin without knowing see what those see that do: without reduction they begin again."""
    program = small_sync.PROGRAMS[name]
    known = search(entered, program, reduce=False, limit=MANY, traces=None)
    assert known.ended
    for reduce in (False, True):
        _core.cool()
        _core.tree_reset(-1, reduce)
        found, more = Found(), True
        while more:
            run, returned = recorded(entered, program, Attempt("dpor" if reduce else "bounded"))
            found.take_in(run, returned[0] if returned else None)
            more = _core.tree_advance()
            assert more is not None
        assert set(found.outcomes) == set(known.outcomes)
        assert not reduce or set(found.traces.values()) == {1}


@pytest.mark.parametrize("name", NOT_ASKING)
def test_where_nobody_asks_it_costs_nothing(entered, name):
    """A plain thread has as many schedules as it had: an end that counts would be a decision wherever others could run."""
    program, asking = small_sync.PROGRAMS[name], small_sync.PROGRAMS["thread_that_is_looked_at"]

    def runs():
        everything = [one[0] for one in brute.schedules(entered, program, 99, MANY)]
        reduced = search(entered, program, reduce=True, limit=MANY)
        assert reduced.ended
        return len(everything), {run.steps for run in everything}, reduced.runs, reduced.redundant, dict(reduced.traces)

    settle(entered, program)
    alone = runs()
    settle(entered, asking)
    after_another_one = runs()
    assert after_another_one[1:] == alone[1:]
    assert after_another_one[0] >= alone[0]
    _core.cool()
    assert runs() == alone


def test_threads_of_which_nothing_is_shared_have_one_interleaving(control):
    def program():
        threads = [threading.Thread(target=lambda: [].append(1)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert search(control(), program, reduce=True, limit=MANY).runs == 1


def alive_behind_its_last_operation():
    assert small_sync.thread_that_is_looked_at() != [1, True]


@pytest.mark.parametrize("seed", range(3))
def test_the_default_search_finds_it_and_makes_it_small(entered, seed):
    found = whole_search(entered, alive_behind_its_last_operation, budget=Budget(400), seed=seed)
    small = found.minimised
    assert small is not None
    assert small.proved
    fewest = next(
        preemptions for one, preemptions in brute.schedules(entered, alive_behind_its_last_operation, 3, MANY) if one.failed
    )
    assert small.schedule.preemptions == fewest
    _core.cool()
    again = entered.run(alive_behind_its_last_operation, Attempt("plan", small.schedule.to_core()), Log.SWITCHES)
    assert again.failed
    assert _core.unmatched() == 0


def test_a_search_that_has_seen_everything_says_so(entered):
    def program():
        outcomes.add(tuple(small_sync.thread_that_is_looked_at()))

    outcomes = set()
    found = whole_search(entered, program, budget=Budget(400), seed=1)
    assert found.complete
    assert found.interleavings == 3
    assert outcomes == {(True, 1), (1, True), (1, False)}


def test_two_who_ask_do_not_disturb_each_other(control):
    """Each of them sees the end or not: four interleavings, and not six, where it would matter who of them came first."""

    def program():
        thread = threading.Thread(target=lambda: None)
        thread.start()
        seen = concurrently_seen(thread)
        thread.join()
        return seen

    def concurrently_seen(thread):
        first, second = [], []
        concurrently(lambda: first.append(thread.is_alive()), lambda: second.append(thread.is_alive()))
        return first + second

    found = search(control(), program, reduce=True, limit=MANY)
    assert found.ended
    assert {value: times for (*_, value), times in found.outcomes.items()} == {
        "[True, True]": 1, "[True, False]": 1, "[False, True]": 1, "[False, False]": 1,
    }  # fmt: skip
    rows = [row for row in _core.trace()[2] if row[2] == LOOK]
    assert len(rows) == 2
    assert len({row[4] for row in rows}) == 1  # of one handle


@pytest.mark.parametrize("asked", [threading.main_thread, threading.current_thread])
def test_threads_that_do_not_end_can_be_asked(holds, asked):
    def program():
        alive = []
        concurrently(lambda: alive.append(asked().is_alive()), lambda: alive.append(asked().is_alive()))
        assert alive == [True, True]

    holds(program, schedules=3)


def test_asked_from_elsewhere(control):
    """Not by a call in the code in scope, but by a function of somebody else, or as an argument of one."""

    def program():
        thread = threading.Thread(target=lambda: None)
        thread.start()
        alive = list(map(threading.Thread.is_alive, [thread, thread]))
        thread.join()
        return alive

    entered = control()
    everything = search(entered, program, reduce=False, limit=MANY, traces=None)
    found = search(entered, program, reduce=True, limit=MANY)
    assert everything.ended
    assert found.ended
    assert {value for *_, value in found.outcomes} == {"[False, False]", "[True, False]", "[True, True]"}
    assert set(found.outcomes) == set(everything.outcomes)


def test_a_daemon_that_is_cut_off_is_said_and_nothing_is_complete(control):
    def program():
        box = small_sync.Box(value=0)

        def work():
            while True:
                box.value += 1

        threading.Thread(target=work, daemon=True).start()

    found = whole_search(control(), program, budget=Budget(30), seed=1)
    assert (found.left, found.complete, found.limit) == (True, False, "schedules")


def test_a_daemon_goes_on_after_the_test_until_it_waits(entered):
    found = whole_search(entered, small_sync.daemon_that_serves_a_queue, budget=Budget(1000), seed=1)
    assert (found.left, found.complete) == (False, True)


def test_time_does_not_pass_for_a_daemon_after_the_test(control):
    def program():
        def work():
            time.sleep(1)
            raise AssertionError("nobody waits so long")

        threading.Thread(target=work, daemon=True).start()

    run = control().run(program, Attempt("plan", []))
    assert (run.ending, run.failure, run.left, run.seconds) == (Ending.COMPLETE, None, False, 0)


def test_what_a_daemon_raises_after_the_test_is_found(control):
    def program():
        threading.Thread(target=lambda: 1 / 0, daemon=True).start()

    run = control().run(program, Attempt("plan", []))
    assert isinstance(run.failure, ZeroDivisionError)


def test_a_daemon_that_gives_up_its_turn_after_the_test_is_cut_off_all_the_same(control):
    def program():
        def work():
            while True:
                time.sleep(0)

        for _ in range(2):
            threading.Thread(target=work, daemon=True).start()

    run = control().run(program, Attempt("plan", []))
    assert (run.ending, run.left) == (Ending.COMPLETE, True)


def test_a_daemon_that_is_joined_is_none_that_is_cut_off(control):
    def program():
        thread = threading.Thread(target=program.__name__.upper, daemon=True)
        thread.start()
        thread.join()

    found = whole_search(control(), program, budget=Budget(30), seed=1)
    assert (found.left, found.complete) == (False, True)

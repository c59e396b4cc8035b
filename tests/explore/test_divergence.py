"""What makes a replay go another way: held still, or named in the report. One test at least for each of these.

==============================  =========================================================================================
held still, so it is the same   ``random`` · time that passes · garbage collection · weakref callbacks and finalisers
in no token, so a replay that   the hash seed · the date · the environment · what an earlier test or schedule left behind
goes another way says where
==============================  =========================================================================================

Every schedule here is drawn from a seed, so these tests are deterministic. What a person reads of it is tested in
:mod:`tests.plugin.test_explore_diverged`, replays in fresh processes in :mod:`tests.explore.test_replay_everywhere`.
"""

import collections
import contextlib
import datetime
import functools
import gc
import itertools
import json
import os
import random
import re
import time

import pytest

import ftcheck
from ftcheck import _core
from ftcheck.explore import chance, engine
from ftcheck.explore.control import Attempt, Control, Ending, Log
from ftcheck.explore.divergence import all_there, divergence, place_of, places_of_last_run
from ftcheck.explore.schedule import Choice, Schedule, Why
from ftcheck.explore.scope import Scope
from ftcheck.explore.search import Budget, search
from ftcheck.explore.token import Token, TokenError, hash_tag
from tests.explore import chancy
from tests.explore.chancy import lost_update
from tests.explore.conftest import outcome
from tests.stress.conftest import Functions

SCOPE = [chancy.__file__]


def line_of(text):
    with open(chancy.__file__, encoding="utf-8") as file:
        [number] = [number for number, line in enumerate(file, 1) if line.rstrip().endswith(text)]
    return number


HERE = line_of("# here it is stopped")


def explored(program, replay=None):
    plan = engine.Plan(Scope(SCOPE), 2, Budget(), seed=1, own_threads=True, replay=replay)
    return engine.explore(Functions(lambda thread, round: program()), plan)


# --- a replay that goes another way says where --------------------------------------------------------------------------


@pytest.fixture
def cause(monkeypatch, request):
    """A detour that is taken from some moment on, and what makes that moment."""
    if request.param == "environment":
        monkeypatch.delenv("FTCHECK_TEST_DETOUR", raising=False)
        return lambda: "FTCHECK_TEST_DETOUR" in os.environ, lambda: monkeypatch.setenv("FTCHECK_TEST_DETOUR", "1")
    if request.param == "date":
        today = [datetime.date(2024, 2, 28)]
        return lambda: today[0].day == 29, lambda: today.append(today.pop() + datetime.timedelta(days=1))
    left_behind = []
    return lambda: bool(left_behind), lambda: left_behind.append(1)


@pytest.mark.parametrize("cause", ["environment", "date", "left behind"], indirect=True)
def test_what_no_token_carries_is_named(cause, monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    detour, change = cause
    found = explored(lambda: lost_update(detour)).found
    [choice] = found.token.schedule.choices
    assert (choice.thread, choice.why, choice.to) == (1, Why.PREEMPTED, 2)
    again = explored(lambda: lost_update(detour), found.token)
    assert again.diverged == ""
    assert again.found.run.failed
    change()
    replayed = explored(lambda: lost_update(detour), found.token)
    assert replayed.found is None
    assert replayed.diverged == (
        f"thread 1 was to be stopped at its point {choice.step}, line {HERE} of first, for thread 2; "
        f"it was at line {HERE} of first"
    )


def test_each_way_of_not_being_met_has_its_words(control):
    entered = control(Scope(SCOPE))

    def program():
        lost_update(bool)

    run = search(entered, program, budget=Budget(), seed=1).minimised.run
    [choice] = run.schedule.choices
    entered.run(program, Attempt("plan", run.schedule.to_core()))
    places = places_of_last_run()

    def said(*choices, places=()):
        entered.run(program, Attempt("plan", Schedule(choices).to_core()))
        return divergence(choices, places, entered.codes)

    assert said(choice, places=places) == ""
    never = Choice(choice.thread, 999, Why.PREEMPTED, choice.to)
    assert said(choice, never, places=(*places, "123456")) == (
        "thread 1 was to be stopped at its point 999, for thread 2; it did not come so far"
    )
    nobody = Choice(choice.thread, choice.step, Why.PREEMPTED, 63)
    assert said(nobody, never) == (
        f"thread 1 was to be stopped at its point {choice.step}, for thread 63; "
        f"it was at line {HERE} of first, and thread 63 could not run"
    )
    ended = Choice(choice.thread, choice.step, Why.ENDED, choice.to)
    assert said(ended, places=places) == (
        f"thread 1 was to end at its point {choice.step}, line {HERE} of first, for thread 2; it was at line {HERE} of first"
    )
    begin = lost_update.__code__
    assert said(choice, places=(place_of(begin, 0),)).startswith(
        f"thread 1 was to be stopped at its point {choice.step}, line {begin.co_firstlineno} of lost_update, for thread 2; "
    )


# --- held still -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def held_control():
    """A control in which chance is held still, as the engine does."""
    with chance.held_still() as again, Control(Scope(SCOPE), around=functools.partial(_before, again)) as entered:
        yield entered


@pytest.fixture
def still():
    with held_control() as entered:
        yield entered


@contextlib.contextmanager
def _before(again):
    again()
    yield


def story(entered, program, schedule):
    run = entered.run(program, Attempt("plan", schedule.to_core()), Log.SWITCHES | Log.OPERATIONS)
    operations = [(row[0], row[1], row[2], place_of(row[9], row[10])) for row in _core.trace()[2]]
    return [outcome(run), str(run.schedule), run.steps, operations, _core.unmatched()]


@pytest.mark.parametrize("name", chancy.PROGRAMS)
def test_what_is_held_still_is_the_same_in_each_run(still, name):
    entered, program = still, chancy.PROGRAMS[name]
    for schedule in [Schedule(), *(entered.run(program, Attempt("walk", 1.0, seed)).schedule for seed in range(3))]:
        first = story(entered, program, schedule)
        assert first[-1] == 0
        for number in range(10):
            random.seed(number)
            gc.collect(0)
            assert story(entered, program, schedule) == first


ELSEWHERE = """
    import json, random
    from ftcheck.explore.schedule import Schedule
    from tests.explore import chancy
    from tests.explore.test_divergence import held_control, story
    random.seed()
    with held_control() as entered:
        for name, text in {schedules!r}:
            print(json.dumps(story(entered, chancy.PROGRAMS[name], Schedule.parse(text))))
"""


def test_what_is_held_still_is_the_same_in_another_process(still, child):
    entered = still
    schedules = [
        (name, str(entered.run(program, Attempt("walk", 1.0, seed)).schedule))
        for name, program in chancy.PROGRAMS.items()
        for seed in range(5)
    ]
    here = [story(entered, chancy.PROGRAMS[name], Schedule.parse(text)) for name, text in schedules]
    done = child(ELSEWHERE.format(schedules=schedules), PYTHONHASHSEED="99")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == json.loads(json.dumps(here))


def test_who_times_the_collector_does_not_do_so_in_a_run():
    """Hypothesis does, from its first example on: so whether there was one in this process must make no difference."""

    def look_at_the_clock(phase, info):
        time.perf_counter()

    look_at_the_clock.__module__ = "hypothesis.internal"
    others, stories = list(gc.callbacks), []
    for callbacks in ([], [look_at_the_clock]):
        gc.callbacks[:] = callbacks
        try:
            with held_control() as entered:
                stories.append(story(entered, chancy.by_collecting_itself, Schedule()))
            assert gc.callbacks == callbacks, "it is there again"
        finally:
            gc.callbacks[:] = others
    assert stories[0] == stories[1]


def test_nothing_is_collected_in_a_run(control):
    entered = control(Scope(SCOPE))
    runs = [entered.run(chancy.by_collecting, Attempt("walk", 1.0, seed)) for seed in range(20)]
    assert collections.Counter(run.ending for run in runs) == {Ending.COMPLETE: 20}
    assert [run.failure for run in runs if "collected" in repr(run.failure)] == []


# --- in the token -------------------------------------------------------------------------------------------------------


def test_the_token_says_how_strings_were_hashed(monkeypatch):
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    assert hash_tag() == "x"
    token = Token.parse("ft2.314t.a.0.b1818e9b.7~1p4-2~07c1d2")
    assert token.hashed == "Sets of strings have another order here: it was found with PYTHONHASHSEED=7, so set that"
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    assert hash_tag() == "7"
    assert token.hashed == ""
    monkeypatch.setenv("PYTHONHASHSEED", "random")
    assert hash_tag() == "x"
    assert "explore and replay with PYTHONHASHSEED=0" in Token.parse("ft2.314t.a.0.b1818e9b.x~~").hashed


def test_a_token_of_format_1_is_replayed():
    found = explored(lambda: lost_update(bool)).found
    old = re.sub(r"^ft2(.*)\.\w+~(.*)~.*", r"ft1\1~\2", str(found.token))
    token = Token.parse(old)
    assert (token.schedule, token.hashes, token.places, token.hashed) == (found.token.schedule, "", (), "")
    assert str(token) == old
    again = explored(lambda: lost_update(bool), token)
    assert again.found.run.failed
    assert again.diverged == ""


@pytest.mark.parametrize(
    "text",
    [
        "ft2.314t.a.0.b1818e9b.x~1p4-2~07c1d2", "ft2.314t.i.2.b1818e9b.0~~",
        "ft2.314.l.2.b1818e9b.12~1p4-2.2e9-0~07c1d2aaaaaa",
        "ft2.314t.a.0.b1818e9b.x~1p4-2~",
    ],
)  # fmt: skip
def test_a_token_goes_from_text_and_back(text):
    assert str(Token.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "ft2.314t.a.0.b1818e9b~1p4-2~07c1d2", "ft2.314t.a.0.b1818e9b.x~1p4-2~07c1d",
        "ft2.314t.a.0.b1818e9b.x~1p4-2~07c1d207c1d2", "ft1.314t.a.0.b1818e9b.x~1p4-2",
        "ft2.314t.a.0.b1818e9b.x5~1p4-2~07c1d2", "ft2.314t.a.0.b1818e9b.x~1p4-2~07g1d2", "ft2.314t.a.0.b1818e9b.x",
        "ft1.314t.a.0.b1818e9b~1p4-2~07c1d2", "ft2.314t.a.0.b1818e9b.x~1p4-2",
    ],
)  # fmt: skip
def test_what_is_no_token_is_refused(text):
    with pytest.raises(TokenError, match="no replay token"):
        Token.parse(text)


def test_places_are_found_again_as_long_as_their_function_is_the_same():
    code, other = lost_update.__code__, chancy.by_time.__code__
    assert all_there([place_of(code, 0), place_of(None, 0)], [code])
    assert not all_there([place_of(code, 0)], [other])
    assert place_of(code, 0) != place_of(other, 0)


# --- a systematic search that goes another way says where, too -----------------------------------------------------------


class Place:
    """Attributes of which each is written on a line of its own."""

    first = second = 0


def _differing(control, detour):
    """Searched systematically: threads that write, one of which takes another way where it is told to."""

    def program():
        place, other = Place(), detour()

        def write():
            if other:
                place.second = 1  # the detour
            else:
                place.first = 1  # the way

        def read():
            assert place.first >= 0
            assert place.second >= 0

        ftcheck.concurrently(write, read)

    entered = control()
    entered.see(program)
    return search(entered, program, budget=Budget(40), seed=1)


def own_line(text):
    with open(__file__, encoding="utf-8") as file:
        [number] = [number for number, line in enumerate(file, 1) if line.rstrip().endswith(f"  # {text}")]
    return f"thread 1 at {os.path.basename(__file__)}:{number}"


def test_a_search_says_where_the_same_decisions_led_another_way(control):
    runs = itertools.count()
    found = _differing(control, lambda: next(runs) % 2)
    assert not found.deterministic
    assert found.differs == f"{own_line('the way')} once, and {own_line('the detour')} another time"
    assert not found.complete


def test_a_search_says_what_its_first_run_did_not_do_again(control):
    """Where nothing is left to be tried, the first run is made once more: what it alone does is seen then."""
    runs = itertools.count()

    def program():
        place = Place()

        def write():
            if next(runs):
                place.second = 1  # all others
            else:
                place.first = 1  # only the first

        ftcheck.concurrently(write, lambda: None)

    entered = control()
    entered.see(program)
    found = search(entered, program, budget=Budget(40), seed=1)
    assert (found.deterministic, found.complete) == (False, False)
    assert found.differs == f"{own_line('only the first')} once, and {own_line('all others')} another time"


def test_nothing_is_said_of_what_is_the_same_each_time(control):
    found = _differing(control, lambda: False)
    assert (found.complete, found.differs) == (True, "")

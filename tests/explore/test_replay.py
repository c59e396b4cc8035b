"""What a random policy finds, the policy ``plan`` does again from the short list of its switches, in any process."""

import importlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftcheck import _core
from ftcheck.explore.control import Attempt, Ending, Log
from ftcheck.explore.schedule import Choice, Schedule, Why
from ftcheck.explore.scope import Scope
from tests.explore import small, small_sync
from tests.explore.conftest import PROGRAMS, attempts, outcome, program_scope
from tests.explore.search import settle

FAILS = sorted(path.stem for path in (PROGRAMS / "fails").glob("*.py"))
RANDOM = ("walk", "lazy walk", "pct", "pos", "surw", "race")
TRIES = 150
LIMIT = 2_000_000
LONG = 50_000
"""Points of a run: one policy and one replay are enough for those that have so many."""
RARE = {
    "aba_stack", "bluetooth", "circular_buffer", "dead_without_result", "flush_left_to_another", "hand_made_barrier",
    "if_instead_of_while", "interlocked_work_steal_queue", "notify_too_few", "notify_wrong_waiter", "reorder_10",
    "reorder_20", "reorder_5", "semaphore_too_many", "stringbuffer", "twostage_20", "work_steal_queue", "wronglock",
}  # fmt: skip
"""Not every policy finds these so soon; at least one does."""


FRESH = (
    "account", "carter01", "check_then_act", "event_pulse", "lazy_init", "own_threads", "read_modify_write_dict",
    "set_add_check", "stack_sctbench", "torn_pair",
)  # fmt: skip
"""Those that are run again in another process."""
BY_ADDRESS = {"executor_lost_update"}
"""An executor joins its threads in the order of a set, which goes by their addresses: what follows its work may differ."""


def story_of(run):
    """What is to be the same again: how it ended, what it raised, to the word, and the schedule."""
    return outcome(run), message_of(run.failure), str(run.schedule), run.steps, run.preemptions


def message_of(failure):
    if isinstance(failure, BaseExceptionGroup):
        return [str(failure), *map(message_of, failure.exceptions)]
    return None if failure is None else str(failure)


def first_failure(entered, program, policy, make):
    for seed in range(TRIES):
        run = entered.run(program, make(policy, seed))
        if run.failed:
            return run
    return None


@pytest.mark.parametrize("name", FAILS)
def test_what_fails_fails_again(control, quiet_threads, name):
    module = importlib.import_module(f"tests.programs.fails.{name}")
    entered = control(program_scope(module), limit=LIMIT)
    long = entered.run(module.program, Attempt("plan", [])).steps > LONG
    make = (lambda policy, seed: Attempt(policy, None, seed)) if long else attempts(entered, module.program)
    policies, found = ("pos",) if long else RANDOM, 0
    for policy in policies:
        run = first_failure(entered, module.program, policy, make)
        if run is None:
            continue
        found += policy != "race"
        for _ in range(1 if long else 3):
            again = entered.run(module.program, Attempt("plan", run.schedule.to_core()))
            if name in BY_ADDRESS:
                assert story_of(again)[:2] == story_of(run)[:2], policy
                continue
            assert _core.unmatched() == 0, policy
            assert story_of(again) == story_of(run), policy
    assert found == len(policies) - ("race" in policies) or (name in RARE and found > 0)


@pytest.mark.parametrize("name", ["account", "deadlock01", "token_ring", "timer_vs_cancel", "own_threads", "stringbuffer"])
def test_what_holds_holds_again(control, name):
    module = importlib.import_module(f"tests.programs.holds.{name}")
    entered = control(program_scope(module))
    make = attempts(entered, module.program)
    for policy in RANDOM:
        for seed in range(5):
            run = entered.run(module.program, make(policy, seed))
            again = entered.run(module.program, Attempt("plan", run.schedule.to_core()))
            assert _core.unmatched() == 0
            assert story_of(again) == story_of(run)


@pytest.mark.parametrize(("module", "name"), [(module, name) for module in (small, small_sync) for name in module.PROGRAMS])
def test_what_the_systematic_search_runs_can_be_run_again(control, module, name):
    """Each of its runs, also where it stops a thread before it releases a lock, which no random policy does."""
    entered, program, again, more = control(Scope([module.__file__])), module.PROGRAMS[name], [], True
    settle(entered, program)
    _core.tree_reset(-1, True)
    while more and len(again) < 50:
        run = entered.run(program, Attempt("dpor"), Log.OPERATIONS | Log.SWITCHES)
        more = _core.tree_advance()
        if run.ending is not Ending.REDUNDANT:
            again.append(run)
    for run in again:
        replayed = entered.run(program, Attempt("plan", run.schedule.to_core()))
        assert _core.unmatched() == 0
        # All but the number of points: those at which nobody is switched are passed by.
        assert (outcome(replayed), replayed.schedule) == (outcome(run), run.schedule)


def test_the_plain_run_is_the_empty_schedule(control):
    module = importlib.import_module("tests.programs.fails.account")
    run = control(program_scope(module)).run(module.program, Attempt("plan", []))
    assert run.schedule == Schedule()
    assert str(run.schedule) == ""
    assert run.preemptions == 0


def test_a_schedule_that_does_not_fit_is_followed_as_far_as_it_goes(control):
    module = importlib.import_module("tests.programs.fails.account")
    entered = control(program_scope(module))
    plain = entered.run(module.program, Attempt("plan", []))
    nonsense = [(1, 999_999, 0, 2), (63, 1, 0, 1), (2, 1, 2, 1), (1, 1, 0, 60)]
    run = entered.run(module.program, Attempt("plan", nonsense))
    assert story_of(run) == story_of(plain)
    assert _core.unmatched() == len(nonsense)


def test_leaving_a_choice_out_does_not_move_the_others(control):
    module = importlib.import_module("tests.programs.fails.token_ring")
    entered = control(program_scope(module))
    run = first_failure(entered, module.program, "walk", attempts(entered, module.program))
    for number in range(len(run.schedule.choices)):
        fewer = run.schedule.without(number)
        assert len(fewer.choices) == len(run.schedule.choices) - 1
        again = entered.run(module.program, Attempt("plan", fewer.to_core()))
        assert again.preemptions <= fewer.preemptions


REPLAY = """
    import importlib, json, sys, threading
    from ftcheck import _core
    from ftcheck.explore.control import Attempt, Control
    from ftcheck.explore.schedule import Schedule
    from tests.explore.conftest import program_scope
    from tests.explore.test_replay import story_of
    threading.excepthook = lambda arguments: None
    for name, text in {schedules!r}:
        module = importlib.import_module("tests.programs.fails." + name)
        with Control(program_scope(module), limit=200_000) as entered:
            run = entered.run(module.program, Attempt("plan", Schedule.parse(text).to_core()))
            print(json.dumps([name, story_of(run), _core.unmatched()]))
"""


@pytest.mark.parametrize("hash_seed", ["0", "12345"])
def test_in_a_fresh_process(control, child, quiet_threads, hash_seed):
    schedules, stories = [], []
    for name in FRESH:
        module = importlib.import_module(f"tests.programs.fails.{name}")
        entered = control(program_scope(module), limit=LIMIT)
        run = first_failure(entered, module.program, "walk", attempts(entered, module.program))
        schedules.append((name, str(run.schedule)))
        stories.append([name, story_of(run), 0])
    done = child(REPLAY.format(schedules=schedules), PYTHONHASHSEED=hash_seed)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == json.loads(json.dumps(stories))


# --- as text -----------------------------------------------------------------------------------------------------------

THREADS = st.integers(0, 63)
CHOICES = st.builds(Choice, THREADS, st.integers(0, 10**15 - 1), st.sampled_from(Why), THREADS)


@given(st.lists(CHOICES).map(tuple).map(Schedule))
def test_a_schedule_goes_into_text_and_back(schedule):
    assert Schedule.parse(str(schedule)) == schedule
    assert Schedule.from_core(schedule.to_core()) == schedule


def test_the_text_is_as_documented():
    schedule = Schedule(
        (
            Choice(1, 12, Why.PREEMPTED, 2),
            Choice(2, 5, Why.BLOCKED, 0),
            Choice(0, 7, Why.ENDED, 3),
            Choice(3, 1, Why.YIELDED, 1),
        )
    )
    assert str(schedule) == "1p12-2.2b5-0.0e7-3.3y1-1"
    assert schedule.preemptions == 1
    assert schedule.without(0).preemptions == 0


@pytest.mark.parametrize(
    "text",
    [
        ".", "1p12-2.", ".1p12-2", "1p12-2..1p13-2", "1p12", "p12-2", "1x12-2", "1p-2", "1p12-", "1p12-2 ", " 1p12-2",
        "1P12-2", "64p1-2", "1p1-64", "999p1-2", "1p1-999", "-1p1-2", "1p-1-2", "1p1--2", "1p1e3-2", "1p1.5-2",
        "1p12-2,2b5-0", "1p12-2\n", "1p" + "9" * 16 + "-2", "1p" + "9" * 5_000 + "-2", "\u0661p12-2", "1p\uff112-2",
        "\0", "1p12-2\0",
    ],
)  # fmt: skip
def test_what_is_no_schedule_is_refused(text):
    with pytest.raises(ValueError, match="not a schedule"):
        Schedule.parse(text)


@given(st.text(alphabet="0123456789pbey-. x", max_size=12))
def test_any_text_is_a_schedule_or_refused(text):
    try:
        schedule = Schedule.parse(text)
    except ValueError:
        return
    assert Schedule.parse(str(schedule)) == schedule
    assert len(schedule.choices) == (text.count(".") + 1 if text else 0)

"""Found here, replayed elsewhere: each program of ``tests/programs/fails`` by the engine that the plugin uses.

:mod:`tests.explore.test_replay_everywhere` does so a few times, ``bench/replay.py`` a hundred times under load.
"""

import contextlib
import importlib
import threading
from dataclasses import dataclass

from ftcheck.explore import engine
from ftcheck.explore.control import Attempt, Control
from ftcheck.explore.divergence import divergence, places_of_last_run
from ftcheck.explore.search import Budget
from ftcheck.explore.sites import Granularity
from ftcheck.explore.token import Token, hash_tag, python_tag
from tests.explore.conftest import PROGRAMS, kinds_of, program_scope
from tests.stress.conftest import Functions

FAILS = sorted(path.stem for path in (PROGRAMS / "fails").glob("*.py"))
LONG = {
    "check_then_pop", "iterate_while_mutating", "lost_update_attribute", "lost_update_global", "lost_update_list_item",
    "shared_generator", "shared_iterator", "torn_pair",
}  # fmt: skip
"""Up to half a million points, for the parallel engine's sake: more than the engine runs of one schedule. Found by POS
alone, not made small, and replayed without telling the story, which would have half a million steps."""
LIMIT = 2_000_000
SCHEDULES = 10_000
"""Until the first bug: by far enough."""
MINIMISING = 300
"""Runs for making it small: it is the replay that matters here, not that it is the smallest there is."""


@dataclass(frozen=True)
class Seen:
    """What is to be the same again.

    :param token: the interleaving; of a replay, that which was run.
    :param what: how it ended, and what was raised.
    :param diverged: the decision that was not met; empty: all were.
    """

    token: str
    what: str
    steps: int
    diverged: str = ""


@contextlib.contextmanager
def _quiet():
    """What threads of the code under test die of is not printed."""
    before, threading.excepthook = threading.excepthook, lambda arguments: None
    try:
        yield
    finally:
        threading.excepthook = before


def _explored(name, replay=None):
    module = importlib.import_module(f"tests.programs.fails.{name}")
    plan = engine.Plan(
        program_scope(module), 2, Budget(SCHEDULES, minimising=MINIMISING), 1, own_threads=True, replay=replay
    )
    return engine.explore(Functions(lambda thread, round: module.program()), plan)


def _seen(run, token, diverged=""):
    return Seen(str(token), f"{run.ending.name} {kinds_of(run.failure)} {run.schedule}", run.steps, diverged)


def find(name):
    """Explore a program until it fails."""
    with _quiet():
        if name in LONG:
            return _find_long(name)
        found = _explored(name).found
        assert found.token is not None, found.differed
        return _seen(found.run, found.token)


def _find_long(name):
    module = importlib.import_module(f"tests.programs.fails.{name}")
    with Control(program_scope(module), limit=LIMIT) as control:
        run = next(
            run for seed in range(SCHEDULES) if (run := control.run(module.program, Attempt("pos", None, seed))).failed
        )
        places = places_of_last_run()
        return _seen(run, Token(run.schedule, 0, Granularity.ACCESSES, python_tag(), "0" * 8, hash_tag(), places))


def _replay(name, token):
    if name not in LONG:
        explored = _explored(name, token)
        return explored.diverged, explored.found and explored.found.run
    module = importlib.import_module(f"tests.programs.fails.{name}")
    with Control(program_scope(module), limit=LIMIT) as control:
        run = control.run(module.program, Attempt("plan", token.schedule.to_core()))
        return divergence(token.schedule.choices, token.places, control.codes), run if run.failed else None


def difference(name, found):
    """Replay what was found: in what the replay differs, in words; empty if it is the same."""
    with _quiet():
        diverged, run = _replay(name, Token.parse(found.token))
    if diverged:
        return diverged
    if run is None:
        return "nothing failed"
    again = _seen(run, found.token)
    return "" if again == found else f"{again.what}, {again.steps} points, instead of {found.what}, {found.steps} points"

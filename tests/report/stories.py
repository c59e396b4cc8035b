"""Stories of real runs, for the tests of interleavings.

A failing schedule of a program is found by a policy with a fixed seed, made small, and run once more with everything noted.
"""

import contextlib
import functools
import importlib
from pathlib import Path
from unittest import mock

from ftcheck import _core
from ftcheck.explore import control as controlled
from ftcheck.explore.control import Attempt, Control, Log
from ftcheck.explore.minimise import minimise
from ftcheck.explore.scope import Scope
from ftcheck.explore.story import tell
from ftcheck.report.interleaving import render

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tests" / "programs"
EVERYTHING = Log.SWITCHES | Log.DECISIONS | Log.OPERATIONS | Log.VALUES
REPLAY = "pytest tests/test_bank.py::test_transfer --ftcheck-replay=1-2c4f"
PIN = '@pytest.mark.ftcheck(replay="1-2c4f")'


def under_control(*scope, limit=3_000):
    return Control(Scope(scope or [f"{PROGRAMS}/"]), limit=limit)


def last_story(run, names=None):
    """Of the run that has just been."""
    return tell(run, _core.trace(), names=names, unfinished=_core.unfinished(), makers=_core.makers())


class Naming:
    """A supervisor that notes what the bodies are called."""

    def __init__(self, inner):
        self.inner, self.names = inner, {}

    def run_bodies(self, bodies):
        for number, body in enumerate(bodies, 1):
            self.names[number] = body.__qualname__.rpartition("<locals>.")[2]
        return self.inner.run_bodies(bodies)


@functools.cache
def found(name):
    """The smallest schedule with which one of ``tests/programs/fails`` fails."""
    program = importlib.import_module(f"tests.programs.fails.{name}").program
    naming = Naming(controlled.SUPERVISOR)
    with mock.patch.object(controlled, "SUPERVISOR", naming), under_control() as control:
        return failing(control, program, naming.names)


def failing(control, program, names=None):
    """The smallest schedule with which a program fails."""
    control.run(program, Attempt("plan", []))
    runs = (control.run(program, Attempt("pos", None, seed)) for seed in range(2_000))
    smallest = minimise(control, program, next(run for run in runs if run.failed))
    run = control.run(program, Attempt("plan", smallest.schedule.to_core()), EVERYTHING)
    assert run.failed
    return last_story(run, names)


def told(program, file, seeds=(None,)):
    """Runs of a program: random ones, and without a seed one that nobody interrupts.

    :param file: where the program is.
    """
    with under_control(file) as control:
        control.run(program, Attempt("plan", []))
        for seed in seeds:
            attempt = Attempt("plan", []) if seed is None else Attempt("walk", 1.0, seed)
            yield last_story(control.run(program, attempt, EVERYTHING))


def relative(file):
    with contextlib.suppress(ValueError):
        return Path(file).relative_to(ROOT).as_posix()
    return Path(file).name


def text_of(interleaving, **options):
    return render(interleaving, **{"replay": REPLAY, "pin": PIN, "shorten": relative, **options})


def steps_of(interleaving, did):
    return [step for turn in interleaving.turns for step in turn.steps if step.did is did]

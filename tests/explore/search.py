"""Systematic searches, run to their end or to a limit, and what they saw."""

import collections
from dataclasses import dataclass, field

from ftcheck import _core
from ftcheck.explore.control import Attempt, Ending, Log
from tests.explore.conftest import outcome
from tests.explore.traces import normal_form


@dataclass
class Found:
    """What the runs of a search came to.

    :param ended: nothing is left to be tried; False where the limit came first.
    :param outcomes: how often each :func:`outcome` came up, with what the program returned.
    :param traces: how often each trace came up; empty where nobody asked for them.
    :param preemptions: how many runs had how many.
    """

    ended: bool = False
    runs: int = 0
    redundant: int = 0
    outcomes: collections.Counter = field(default_factory=collections.Counter)
    traces: collections.Counter = field(default_factory=collections.Counter)
    preemptions: collections.Counter = field(default_factory=collections.Counter)

    def take_in(self, run, value, traces=normal_form):
        self.runs += 1
        if run.ending is Ending.REDUNDANT:
            self.redundant += 1
            return
        self.outcomes[(*outcome(run), repr(value))] += 1
        self.preemptions[run.preemptions] += 1
        if traces:
            self.traces[traces(_core.trace()[2])] += 1


def _run(control, program, attempt, found, traces=normal_form):
    returned = []
    run = control.run(lambda: returned.append(program()), attempt, Log.OPERATIONS)
    found.take_in(run, returned[0] if returned else None, traces)


def settle(control, program):
    """Run it until all of its code is known: what is new in a run may not have stopped where it does in the next one."""
    for _ in range(5):
        if not control.run(program, Attempt("plan", [])).new_code:
            return
    raise AssertionError("there is new code in every run")


def search(control, program, *, reduce, bound=-1, limit, traces=normal_form):
    """Depth-first search by ``dpor`` or ``bounded``; each run has to follow the choices that it shares with the one before.

    :param traces: what is the same of equivalent runs, out of their rows of operations; None: nobody asks.
    """
    found = Found()
    settle(control, program)
    _core.tree_reset(bound, reduce)
    while found.runs < limit:
        _run(control, program, Attempt("dpor" if reduce else "bounded"), found, traces)
        more = _core.tree_advance()
        assert more is not None, f"run {found.runs} went another way than its prefix says"
        if not more:
            found.ended = True
            break
    return found


def sample(control, program, count):
    """What so many random schedules see, half by random walk and half by POS."""
    found = Found()
    settle(control, program)
    for seed in range(count):
        _run(control, program, Attempt("pos", None, seed) if seed % 2 else Attempt("walk", 1.0, seed), found)
    return found

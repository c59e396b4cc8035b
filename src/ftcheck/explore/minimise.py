"""The fewest preemptions that still fail: a failing schedule made small.

First by leaving decisions out, as long as the failure stays the same (same kind, same place; Zeller, Hildebrandt:
Simplifying and isolating failure-inducing input, IEEE TSE 28(2), 2002, in its simplest form: schedules are short). Then,
where preemptions are left, by a systematic search for a failing schedule with fewer, within a budget of runs. In a long run
that would end among schedules with one preemption, so where several are left it is done twice, first with preemptions only
where accesses were seen to conflict.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass

from ftcheck import _core
from ftcheck.explore.control import Attempt, Control, Log, Run
from ftcheck.explore.schedule import Schedule, Why

_PLAINER = 300
"""Runs that may be spent on a schedule that is as short but easier to read."""


def identity(run: Run) -> tuple[object, ...]:
    """What makes two failures the same: how the run ended, the type of what was raised, and the line that raised it."""
    return run.ending, *_of(run.failure)


def _of(failure: BaseException | None) -> tuple[object, ...]:
    if failure is None:
        return ()
    if isinstance(failure, BaseExceptionGroup):
        return (type(failure), frozenset(_of(one) for one in failure.exceptions))
    frames = traceback.extract_tb(failure.__traceback__)
    return (type(failure), (frames[-1].filename, frames[-1].lineno) if frames else None)


@dataclass(frozen=True, slots=True)
class Minimised:
    """A failing schedule that none of the tried ones undercuts.

    :param runs: how many runs it took.
    :param proved: every schedule with fewer preemptions was run, and none failed in this way.
    """

    schedule: Schedule
    run: Run
    runs: int
    proved: bool


def minimise(control: Control, body: Callable[[], object], failing: Run, budget: int = 2_000) -> Minimised | None:
    """Make a failing run's schedule small.

    :param budget: runs.
    :returns: None if the failure does not come back when its own schedule is run again.
    """
    return _Shrinker(control, body, identity(failing), budget).shrink(failing)


class _Shrinker:
    def __init__(self, control: Control, body: Callable[[], object], wanted: tuple[object, ...], budget: int) -> None:
        self._control, self._body, self._wanted, self._budget = control, body, wanted, budget
        self._spent = 0

    def shrink(self, failing: Run) -> Minimised | None:
        best = self._attempt(_schedule(failing))
        if best is None:
            return None
        best = self._fewer_at_conflicts(self._leave_out(best))
        proved = _schedule(best).preemptions == 0
        for bound in range(_schedule(best).preemptions):
            found, complete = self._search(bound)
            if found is not None:
                best, proved = self._leave_out(found), True
                break
            if not complete:
                break
            proved = bound == _schedule(best).preemptions - 1
        best = self._plainer(best)
        return Minimised(_schedule(best), best, self._spent, proved)

    def _attempt(self, schedule: Schedule) -> Run | None:
        self._spent += 1
        run = self._control.run(self._body, Attempt("plan", schedule.to_core()), Log.SWITCHES)
        return run if identity(run) == self._wanted else None

    def _leave_out(self, best: Run) -> Run:
        shrunk = True
        while shrunk:
            shrunk = False
            choices = _schedule(best).choices
            for number in sorted(range(len(choices)), key=lambda n: (choices[n].why is not Why.PREEMPTED, -n)):
                if self._spent >= self._budget:
                    return best
                run = self._attempt(_schedule(best).without(number))
                if run is not None and _size(run) < _size(best):
                    best, shrunk = run, True
                    break
        return best

    def _fewer_at_conflicts(self, best: Run) -> Run:
        if _schedule(best).preemptions < 2:
            return best
        whole, self._budget = self._budget, min(self._budget, self._spent + self._budget // 2)
        try:
            for bound in range(1, _schedule(best).preemptions):
                found, _ = self._search(bound, only_hot=True)
                if found is not None:
                    return self._leave_out(found)
        finally:
            self._budget = whole
        return best

    def _plainer(self, best: Run) -> Run:
        """As few preemptions, but with the threads in their usual order, where that fails as well."""
        if len(_schedule(best).choices) > _schedule(best).preemptions:
            self._budget = min(self._budget, self._spent + _PLAINER)
            found, _ = self._search(_schedule(best).preemptions)
            if found is not None:
                self._budget += _PLAINER
                found = self._leave_out(found)
                best = min(best, found, key=_size)
        return best

    def _search(self, bound: int, only_hot: bool = False) -> tuple[Run | None, bool]:
        """The same failure with at most so many preemptions, and whether all such schedules were tried."""
        _core.tree_reset(bound, False)
        while self._spent < self._budget:
            self._spent += 1
            run = self._control.run(self._body, Attempt("tree", only_hot=only_hot), Log.SWITCHES)
            if identity(run) == self._wanted:
                return run, False
            if not _core.tree_advance():
                return None, True
        return None, False


def _schedule(run: Run) -> Schedule:
    assert run.schedule is not None
    return run.schedule


def _size(run: Run) -> tuple[int, int, int]:
    """Fewer preemptions, then fewer decisions, then a shorter run."""
    schedule = _schedule(run)
    return schedule.preemptions, len(schedule.choices), run.steps

"""The fewest preemptions that still fail: a failing schedule made small.

First by leaving decisions out, as long as the failure stays the same (same kind, same place; Zeller, Hildebrandt:
Simplifying and isolating failure-inducing input, IEEE TSE 28(2), 2002, in its simplest form: schedules are short). Then,
where preemptions are left, by a systematic search for a failing schedule with fewer, within a budget of runs. In a long run
that would end among schedules with one preemption, so where several are left it is done twice, first with preemptions only
where accesses were seen to conflict. With many threads it would end among the orders in which they may come: there, one
preemption is tried at each decision of the failing run.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass

from ftcheck import _core
from ftcheck.explore.control import LONGEST, Attempt, Control, Ending, Log, Run
from ftcheck.explore.schedule import Choice, Schedule, Why

_PLAINER = 300
"""Runs that may be spent on a schedule that is as short but easier to read."""
_POINTS = 20_000_000
"""Scheduling points of all these runs, about."""
_LONG = 50_000
"""Points of a run; one that differs a little may have more than runs have elsewhere."""
_AS_LONG = 2
"""Times as many points as the failing run: longer ones are looked at last."""


def identity(run: Run) -> tuple[object, ...]:
    """What makes two failures the same: how the run ended, the type of what was raised, and the line that raised it.

    Where nothing was raised, one data race is as good as another: all those of the smallest schedule are reported.
    """
    if run.failure is None and run.races is not None:
        return run.ending, "data race"
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

    :param budget: runs, for a search of all schedules with fewer preemptions; others come to some times as many.
    :returns: None if the failure does not come back when its own schedule is run again.
    """
    return _Shrinker(control, body, failing, min(budget, _POINTS // max(failing.steps, 1))).shrink(failing)


class _Shrinker:
    def __init__(self, control: Control, body: Callable[[], object], failing: Run, budget: int) -> None:
        self._control, self._body, self._wanted, self._budget = control, body, identity(failing), budget
        self._limit = LONGEST if failing.steps > _LONG else None
        self._spent = 0

    def shrink(self, failing: Run) -> Minimised | None:
        best = self._attempt(_schedule(failing))
        if best is None:
            return None
        best = self._with_one(self._fewer_at_conflicts(self._leave_out(best)))
        best, proved = self._fewest(best)
        best = self._plainer(best)
        return Minimised(_schedule(best), best, self._spent, proved)

    def _attempt(self, schedule: Schedule) -> Run | None:
        self._spent += 1
        run = self._control.run(self._body, Attempt("plan", schedule.to_core(), limit=self._limit), Log.SWITCHES)
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
                found, *_ = self._search(bound, only_hot=True)
                if found is not None:
                    return self._leave_out(found)
        finally:
            self._budget = whole
        return best

    def _with_one(self, best: Run) -> Run:
        """With one preemption, at any decision of this run, if that is enough: the threads come in the same order."""
        if _schedule(best).preemptions < 2:
            return best
        others = tuple(choice for choice in _schedule(best).choices if choice.why is not Why.PREEMPTED)
        self._control.run(self._body, Attempt("plan", _schedule(best).to_core(), limit=self._limit), Log.DECISIONS)
        for thread, step, why, enabled, _, _ in reversed(_core.trace()[1]):
            for to in range(enabled.bit_length()):
                if why != Why.PREEMPTED or to == thread or not enabled >> to & 1:
                    continue
                if self._spent >= self._budget:
                    return best
                run = self._attempt(Schedule((Choice(thread, step, Why.PREEMPTED, to), *others)))
                if run is not None:
                    return self._leave_out(run)
        return best

    def _fewest(self, best: Run) -> tuple[Run, bool]:
        """With fewer preemptions, if there is such a schedule, and whether it is certain that there is none with fewer.

        First among runs that are not much longer. In a run of a hundred points, one that has waited for thousands in a loop
        is not the way to the bug; but where it waits are thousands of decisions, and depth first the search would see
        nothing else.
        """
        budget = self._budget
        for runs, limit in ((budget * 5 // 2, _AS_LONG * best.steps), (budget, None)):
            self._budget = self._spent + runs
            all_tried = True
            for bound in range(_schedule(best).preemptions):
                found, ended, whole = self._search(bound, limit)
                if found is not None:
                    best = self._leave_out(found)
                    break
                all_tried &= ended and whole
                if not ended:
                    break
            if all_tried:
                return best, True
        return best, False

    def _plainer(self, best: Run) -> Run:
        """As few preemptions, but with the threads in their usual order, where that fails as well."""
        if len(_schedule(best).choices) > _schedule(best).preemptions:
            self._budget = min(self._budget, self._spent + _PLAINER)
            found, *_ = self._search(_schedule(best).preemptions)
            if found is not None:
                self._budget += _PLAINER
                found = self._leave_out(found)
                best = min(best, found, key=_size)
        return best

    def _search(self, bound: int, limit: int | None = None, only_hot: bool = False) -> tuple[Run | None, bool, bool]:
        """The same failure with at most so many preemptions; whether all such schedules were tried, and none given up.

        :param limit: scheduling points after which a run is given up.
        :param only_hot: with preemptions only where accesses were seen to conflict.
        """
        whole = True
        _core.tree_reset(bound, False)
        while self._spent < self._budget:
            self._spent += 1
            run = self._control.run(
                self._body, Attempt("bounded", only_hot=only_hot, limit=limit or self._limit), Log.SWITCHES
            )
            if identity(run) == self._wanted:
                return run, False, whole
            whole &= run.ending in (Ending.COMPLETE, Ending.DEADLOCK)
            if not _core.tree_advance():
                return None, True, whole
        return None, False, whole


def _schedule(run: Run) -> Schedule:
    assert run.schedule is not None
    return run.schedule


def _size(run: Run) -> tuple[int, int, int]:
    """Fewer preemptions, then fewer decisions, then a shorter run."""
    schedule = _schedule(run)
    return schedule.preemptions, len(schedule.choices), run.steps

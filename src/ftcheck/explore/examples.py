"""Data and schedule in one example: the interleavings of a test that somebody else calls, again and again, with other data.

Hypothesis draws the data of a ``@given`` test and calls the test, on its own thread. Each such call becomes a small search:
the same data under a batch of schedules, whose seed belongs to the example. What came of a call depends on nothing else, so
it comes back when Hypothesis calls again with the same data, and while it makes the data small. The process is under control
from the first example to the last.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Self

from ftcheck.coverage import Interleavings
from ftcheck.explore.control import Attempt, Control, Log
from ftcheck.explore.engine import Explored, Found, Plan, run_copies, show
from ftcheck.explore.search import Budget, Exploration, search


class Examples:
    """The searches of one test.

    :param plan: its budget holds for one example.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stack = contextlib.ExitStack()
        self._control: Control | None = None
        self._explorations: list[Exploration] = []
        self._copies = 1
        self._found: Found | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self._stack.close()

    def run(self, body: Callable[[int], object], seed: int) -> None:
        """One example.

        :param body: calls the test once, with data of its own: for the copy with this number.
        :raises BaseException: what the test raised in the interleaving that failed.
        :raises DeadlockedError: it ended in a deadlock.
        """
        if self._control is None:
            self._control = self._stack.enter_context(Control(self._plan.scope, granularity=self._plan.granularity))
            if not self._plan.own_threads:
                alone = self._control.run(lambda: body(0), Attempt("plan", []), Log.NOTHING)
                self._copies = self._plan.threads if alone.threads == 1 else 1
        if self._plan.replay is not None:
            self._copies = max(self._plan.replay.copies, 1)
        test = functools.partial(_run, body, self._copies)
        if self._plan.replay is not None:
            run = self._control.run(test, Attempt("plan", self._plan.replay.schedule.to_core()), Log.SWITCHES)
            if run.failed:
                raise run.failure if run.failure is not None else DeadlockedError("deadlock")
            return
        exploration = search(self._control, test, budget=self._plan.budget, seed=seed)
        self._explorations.append(exploration)
        if exploration.failing is None:
            return
        copies = self._copies if self._copies > 1 else 0
        self._found = show(self._control, test, exploration, copies, self._plan.granularity)
        run = self._found.run
        raise run.failure if run.failure is not None else DeadlockedError("deadlock")

    def explored(self, failed: bool) -> Explored | None:
        """What came of all of them; None if there was none.

        :param failed: the last one that failed is what is reported.
        """
        if not self._explorations:
            return None
        last = self._explorations[-1]
        return Explored(last, self._copies if self._copies > 1 else 0, self._found if failed else None)

    @property
    def schedules(self) -> int:
        """Runs, over all examples."""
        return sum(one.schedules for one in self._explorations)

    @property
    def threads(self) -> int:
        """Threads that the test started, or copies of it."""
        return self._copies if self._copies > 1 else max(one.threads - 1 for one in self._explorations)

    @property
    def complete(self) -> bool:
        """Whether of every example all inequivalent interleavings were run."""
        return all(one.complete for one in self._explorations)

    def coverage(self) -> Interleavings:
        """All examples added up: the least that can be said of each of them."""
        seen = self._explorations
        return Interleavings(
            complete=self.complete,
            number=sum(one.interleavings for one in seen),
            missing=max(one.missing[2] for one in seen),
            decisions=(
                min(one.decisions.least for one in seen),
                round(sum(one.decisions.mean for one in seen) / len(seen), 1),
                max(one.decisions.most for one in seen),
            ),
            timed=any(one.timed for one in seen),
            cut=sum(sum(one.endings.values()) for one in seen),
            deterministic=all(one.deterministic for one in seen),
            uncontrolled=sum(one.uncontrolled for one in seen),
            outside=tuple(dict.fromkeys(where for one in seen for where in one.outside)),
        )


BATCH = Budget(schedules=16, minimising=300)
"""What one example may cost: there are a hundred, by default, and hundreds more while a failing one is made small."""


class DeadlockedError(Exception):
    """An interleaving ended in a deadlock; its threads were let go."""


def _run(body: Callable[[int], object], copies: int) -> None:
    if copies == 1:
        body(0)
    else:
        run_copies([functools.partial(body, number) for number in range(copies)])

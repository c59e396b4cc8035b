"""Data and schedule in one example: the interleavings of a test that somebody else calls, again and again, with other data.

Hypothesis draws the data of a ``@given`` test and calls the test, on its own thread. Each such call becomes a small search:
the same data under a batch of schedules, whose seed belongs to the example. What came of a call depends on nothing else, so
it comes back when Hypothesis calls again with the same data, and while it makes the data small. The process is under control
from the first example to the last.

Where it does not come back all the same, the test itself is not deterministic. Hypothesis would call it flaky, and search
on; here that ends the search (:class:`NotAgainError`), with what differed.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
from collections.abc import Callable, Sequence
from typing import Self

from ftcheck.candidates import Candidates
from ftcheck.coverage import Interleavings
from ftcheck.explore import chance
from ftcheck.explore.control import Attempt, Control, Log
from ftcheck.explore.differences import last_log, what_differs
from ftcheck.explore.engine import Explored, Found, Plan, run_copies, show, told
from ftcheck.explore.log import Operation
from ftcheck.explore.native import DataRaceError
from ftcheck.explore.search import Budget, Exploration, search
from ftcheck.explore.token import Token


class Examples:
    """The searches of one test.

    :param plan: its budget holds for one example.
    :ivar stale: of a replay: what does not fit, in the examples that were tried; **tried**: how many these were.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stack = contextlib.ExitStack()
        self._control: Control | None = None
        self._explorations: list[Exploration] = []
        self._failed: dict[object, tuple[Found, Sequence[Operation]]] = {}
        self._before_run: Callable[[], None] = lambda: None
        self._counted = False
        self._copies = 0  # not known yet
        self._hunt = plan.hunt()
        self._replayed: Explored | None = None
        self.found: Found | None = None
        self.tried, self.stale = 0, ""

    def __enter__(self) -> Self:
        self._same_chance = self._stack.enter_context(chance.held_still())
        return self

    def __exit__(self, *args: object) -> None:
        self._stack.close()

    def run(
        self,
        body: Callable[[int], object],
        seed: int,
        data: Callable[[], object] = lambda: None,
        before_run: Callable[[], None] = lambda: None,
    ) -> None:
        """One example.

        :param body: calls the test once, with data of its own: for the copy with this number.
        :param data: called after it: equal for examples with the same data, which are to come to the same.
        :param before_run: called before each call of the test; what it raises ends the example.
        :raises BaseException: what the test raised in the interleaving that failed.
        :raises DeadlockedError: it ended in a deadlock.
        :raises DataRaceError: an extension has a data race.
        :raises NotAgainError: it has failed, and does not fail again.
        """
        __tracebackhide__ = True
        self._before_run, self._counted = before_run, False
        control = self._under_control(body)
        test = functools.partial(_run, body, self._copies)
        if self._plan.replay is not None:
            self._replay(control, test, self._plan.replay)
            return
        exploration = search(control, test, budget=self._plan.budget, seed=seed, bounded=False, hunt=self._hunt)
        self._explorations.append(exploration)
        self._counted = True
        if exploration.failing is None:
            if (key := (data(), seed)) in self._failed:
                found, log = self._failed[key]
                assert found.minimised is not None
                differs = what_differs(control, test, found.minimised.schedule, log)
                raise NotAgainError(Found(found.run, None, None, None, differs))
            return
        copies = self._copies if self._copies > 1 else 0
        self.found = show(control, test, exploration, copies, self._plan.granularity)
        if self.found.minimised is None:
            raise NotAgainError(self.found)
        self._failed[data(), seed] = self.found, last_log()
        raise _failure_of(self.found)

    def _under_control(self, body: Callable[[int], object]) -> Control:
        if self._control is None:
            entered = Control(self._plan.scope, granularity=self._plan.granularity, around=self._around)
            self._control = self._stack.enter_context(entered)
        if self._plan.replay is not None:
            self._copies = max(self._plan.replay.copies, 1)
        elif self._plan.own_threads:
            self._copies = 1
        elif self._copies == 0:
            alone = self._control.run(lambda: body(0), Attempt("plan", []), Log.NOTHING)
            self._before_run()  # raises if the test has rejected the data, before it could start a thread
            self._copies = self._plan.threads if alone.threads == 1 else 1
        return self._control

    def _around(self) -> contextlib.AbstractContextManager[object]:
        self._before_run()
        self._same_chance()
        return _NOTHING_AFTERWARDS

    def _replay(self, control: Control, test: Callable[[], object], token: Token) -> None:
        control.run(test, Attempt("plan", []), Log.NOTHING)  # what is imported at first use
        run, interleaving, diverged, code = told(control, test, token)
        self.tried += 1
        changed = token.changed(code)
        if changed:
            self.stale = changed
            return
        self.found = Found(run, token, interleaving, None) if run.failed else None
        self._replayed = Explored(None, token.copies, self.found, diverged)
        if self.found is not None:
            raise _failure_of(self.found)

    def not_counted(self) -> None:
        """The last example was rejected by the test itself: nothing was explored."""
        if self._counted:
            self._explorations.pop()

    def explored(self, failed: bool) -> Explored | None:
        """What came of all of them; None if there was none.

        :param failed: the last one that failed is what is reported.
        """
        if self._replayed is not None or not self._explorations:
            return self._replayed
        last = self._explorations[-1]
        return Explored(last, self._copies if self._copies > 1 else 0, self.found if failed else None)

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

    def _candidates(self) -> Candidates | None:
        if self._hunt is None:
            return Candidates(limit="points") if self._plan.races else None
        self._hunt.end("complete" if self.complete else "schedules")
        return self._hunt.listing()

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
            left=any(one.left for one in seen),
            cut=sum(sum(one.endings.values()) for one in seen),
            deterministic=all(one.deterministic for one in seen),
            differs=next((one.differs for one in seen if one.differs), ""),
            uncontrolled=sum(one.uncontrolled for one in seen),
            outside=tuple(dict.fromkeys(where for one in seen for where in one.outside)),
            candidates=self._candidates(),
        )


_NOTHING_AFTERWARDS = contextlib.nullcontext()
BATCH = Budget(schedules=64, minimising=300, points=8_000, least=16)
"""What one example may cost: there are a hundred, by default, and hundreds more while a failing one is made small. For each
of them Hypothesis itself takes as long as some ten schedules of a small test do, so a small test gets more than a large one.
Not by the clock: what an example comes to has to be the same each time."""


class DeadlockedError(Exception):
    """An interleaving ended in a deadlock; its threads were let go."""


class NotAgainError(BaseException):
    """What has failed does not fail again with the same data and the same schedule. No :exc:`Exception`: the search is over.

    :ivar found: what has failed, and what differed.
    """

    def __init__(self, found: Found) -> None:
        super().__init__(found.differs)
        self.found = found


def _failure_of(found: Found) -> BaseException:
    if found.run.failure is not None:
        return found.run.failure
    races = found.run.races
    return DeadlockedError("deadlock") if races is None else DataRaceError(races.found().headline)


def _run(body: Callable[[int], object], copies: int) -> None:
    __tracebackhide__ = True
    if copies == 1:
        body(0)
    else:
        bodies: list[Callable[[], object]] = [functools.partial(body, number) for number in range(copies)]
        run_copies(bodies, [contextvars.copy_context() for _ in bodies])

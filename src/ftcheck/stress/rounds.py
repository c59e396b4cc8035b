"""The rounds of the parallel engine.

One thread per body lives as long as the test. A round goes: *open* (what the threads share is made), *prepare* (each
thread's own set-up, one thread at a time), the start line, the bodies, *cleanup* (one at a time), *close*. Open and close
run on whichever thread comes last to the meeting between two rounds; nobody else has to wake up for them, which is what
makes short rounds cheap. The calling thread only waits, and asks :mod:`ftcheck.stress.stall` now and then whether the
round can still end: a thread that never comes back must not be waited for.

A workload whose body needs no set-up is *repeatable*: it is prepared once, and its body is called several times per
round when it is short, so that even a body of a microsecond overlaps with the others.

Context variables are as in a plain run: what open sets, every thread of the round sees; what a thread's own set-up sets,
its body and its teardown see; nothing else leaks from one to the other.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from ftcheck import _core, interpreter
from ftcheck.coverage import Coverage
from ftcheck.settings import Settings
from ftcheck.stress import overlap, process_wide, stray
from ftcheck.stress.noise import Noise
from ftcheck.stress.process_wide import MustRunAlone, ProcessWatch, Watched
from ftcheck.stress.replaced import GlobalsWatch
from ftcheck.stress.stall import Stall, StallWatch
from ftcheck.verdicts import ThreadFailure
from ftcheck.workload import Workload, run_once, supervisor

FAILING_ROUNDS = 20
"""After so many failing rounds nothing more is learned: what fails, and how often, is known."""
_FILL = 200_000
"""Nanoseconds that the calls of a short repeatable body should fill in a round, at most. Not more: a thread that has just
used its share of a busy CPU waits for the next one, and misses the start of the next round."""
_FILL_STEP = 2_000
"""Nanoseconds by which each round fills more than the one before: short rounds first, in which starts meet starts."""
_TICK = 0.25
_PATIENCE = 2.0
"""Seconds for which a thread may wait for another one that was given up; then it is left behind."""
_SWITCH_INTERVAL = 1e-5
"""Seconds. With the GIL on, threads take turns; at the default of 5 ms short bodies would never interleave."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the rounds gave.

    :param stall: the round that did not end, or None. Its threads are still there.
    :param alone: why the workload cannot run in several threads; then it is yet to be run, and there is nothing else.
    """

    failures: tuple[ThreadFailure, ...]
    coverage: Coverage
    stall: Stall | None = None
    alone: str = ""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a run takes from its surroundings.

    :param seed: seeds the noise.
    :param settled: asked after each round, with all failures so far, whether to stop.
    :param bystanders: native ids of threads that take no part in any deadlock.
    :param watch: sees calls that must not be made by two threads at a time.
    :param replaced: sees functions of modules being replaced.
    :param begin_thread: called with its number on each thread that runs bodies, before anything else; what it returns (if
        not None) is called at that thread's end.
    :param came_back: called on a thread when it comes back from the workload, with what that raised, or None: a child
        that was forked there ends here (:mod:`ftcheck.forked`).
    """

    seed: int = 0
    settled: Callable[[Sequence[ThreadFailure]], bool] = lambda failures: False
    bystanders: Collection[int] = ()
    watch: ProcessWatch | None = None
    replaced: GlobalsWatch | None = None
    begin_thread: Callable[[int], Callable[[], object] | None] = lambda number: None
    came_back: Callable[[BaseException | None], None] = lambda failure: None


class BringsItsOwnThreads(BaseException):
    """Raised in a body that calls :func:`ftcheck.concurrently` while other copies of it run."""


class Rounds:
    """All rounds of one workload, with a given number of copies of its body."""

    def __init__(
        self,
        workload: Workload,
        settings: Settings,
        copies: int,
        conditions: Conditions,
    ) -> None:
        self._workload, self._settings, self._copies, self._conditions = workload, settings, copies, conditions
        self._stalls = StallWatch(settings.timeout, conditions.bystanders)
        self._line = _core.StartLine(copies, spin=interpreter.cpus())
        self._noise = Noise(settings.noise, conditions.seed)
        # A repeatable workload has nothing to set up, and a lock that all threads want at once costs more than its rounds.
        self._serial = contextlib.nullcontext() if workload.repeatable else threading.Lock()
        self._repeat = 1
        self._limit = ""
        self._round = 0
        self._began = self._round_began = time.monotonic()
        self._context = self._round_context = contextvars.Context()
        self._failures: list[ThreadFailure] = []
        self._own_overlap = False
        self._most_bodies = copies
        self._overlapped = self._calls = 0
        self._numbers: dict[int, int] = {}
        self.abandoned = self.unwatched = False
        self._alone = ""
        self._given_up = 0.0

    def execute(self) -> Outcome:
        self._context = contextvars.copy_context()
        self._context.run(supervisor.set, self)
        self._context.run(process_wide.in_charge.set, self._must_run_alone)
        threads = [
            threading.Thread(target=self._work, args=(number,), name=f"ftcheck-{number}", daemon=True)
            for number in range(self._copies)
        ]
        stall = None
        with stray.Hooks(self._record_stray), self._noise.active(), _short_turns():
            try:
                for thread in threads:
                    thread.start()
                while not _over(threads):
                    if self._round and (stall := self._stalls.check(self._round, self._round_began)):
                        self._limit = "hang"
                        break
                    if self._alone and time.monotonic() - self._given_up > _PATIENCE:
                        stall = Stall("hang", self._round, _PATIENCE, "")
                        break
            finally:
                self._line.abort()
        self._put_back()
        self._look_for_imports()
        if self._alone:  # a stall is then that of a thread that waits for one that was given up
            return Outcome((), self._coverage(), None, self._alone)
        return Outcome(tuple(self._failures), self._coverage(), stall)

    # --- on the threads ------------------------------------------------------------------------------------------

    def _work(self, number: int) -> None:
        _core.enter_thread(f"thread {number}")
        self._numbers[threading.get_ident()] = number
        try:
            end = self._conditions.begin_thread(number)
        except BaseException as failure:
            end = None
            self._record(number, "set-up", failure)
            self._line.abort()
        try:
            self._all_rounds(number)
        except _core.BrokenStartLine:
            pass
        except BaseException as failure:  # the harness itself: said, never swallowed
            self._record(number, "harness", failure)
            self._line.abort()
        finally:
            if end is not None:
                self._undo(number, end)
            _core.leave_thread()

    def _all_rounds(self, number: int) -> None:
        repeatable = self._workload.repeatable
        self._line.meet(self._open_next, number if repeatable else -1, 1)
        prepared = repeatable and not self._limit
        context = self._round_context.copy()
        body = self._prepare(number, context) if prepared else None
        while not self._limit:
            self._one_round(number, body, (context if repeatable else self._round_context).copy(), repeatable)
            more = self._settings.rounds is None or self._round < self._settings.rounds
            self._line.meet(self._turn, number if repeatable and more else -1, self._round + 1)
        if repeatable:
            self._line.stand_down(number)
        if prepared:
            self._cleanup(number, context)

    def _one_round(
        self, number: int, body: Callable[[], object] | None, context: contextvars.Context, lined_up: bool
    ) -> None:
        repeatable = self._workload.repeatable
        if body is None and not repeatable:
            body = self._prepare(number, context)
        self._noise.begin(number, self._round)
        try:
            if body is None:
                self._line.run(number, self._round, _nothing, 0, lined_up)
            else:
                self._line.run(number, self._round, functools.partial(context.run, body), self._repeat, lined_up)
        except _core.BrokenStartLine:
            raise
        except BaseException as failure:
            self._conditions.came_back(failure)
            self._record(number, "body", failure)
        finally:
            self._conditions.came_back(None)
            self._noise.end()
            if not repeatable:
                self._cleanup(number, context)

    def _prepare(self, number: int, context: contextvars.Context) -> Callable[[], object] | None:
        with self._serial:
            try:
                return context.run(self._workload.prepare, number, self._round)
            except BaseException as failure:
                self._conditions.came_back(failure)
                self._record(number, "set-up", failure)
                return None
            finally:
                self._conditions.came_back(None)

    def _cleanup(self, number: int, context: contextvars.Context) -> None:
        self._undo(number, functools.partial(context.run, self._workload.cleanup, number, self._round))

    def _undo(self, number: int, undo: Callable[[], object]) -> None:
        with self._serial:
            try:
                undo()
            except BaseException as failure:
                self._conditions.came_back(failure)
                self._record(number, "teardown", failure)
            finally:
                self._conditions.came_back(None)

    # --- between rounds, on the thread that came last --------------------------------------------------------------

    def _open_next(self) -> None:
        self._round += 1
        self._round_began = time.monotonic()
        try:
            self._round_context = self._context.copy()
            self._round_context.run(self._workload.open_round, self._round)
        except BaseException as failure:
            self._record(-1, "set-up", failure)
            self._limit = "failures"

    def _turn(self) -> None:
        try:
            self._round_context.run(self._workload.close_round, self._round)
        except BaseException as failure:
            self._record(-1, "teardown", failure)
        self._put_back()
        self._look_for_imports()
        stamps = self._line.stamps()
        self._calls += sum(calls for _, _, calls in stamps)
        self._overlapped += self._own_overlap or overlap.overlapped(stamps)
        self._own_overlap = False
        if self._workload.repeatable and self._copies > 1:
            self._repeat = overlap.calls_for(stamps, min(_FILL, _FILL_STEP * self._round))
        self._limit = self._reached()
        if not self._limit:
            self._open_next()

    def _reached(self) -> str:
        settings = self._settings
        if self.abandoned:
            return "abandoned"
        if self._conditions.settled(self._failures):
            return "settled"
        if len({failure.round for failure in self._failures}) >= FAILING_ROUNDS:
            return "failures"
        if settings.rounds is not None and self._round >= settings.rounds and not self._worth_more_rounds():
            return "rounds"
        if settings.seconds is not None and time.monotonic() - self._began >= settings.seconds:
            return "seconds"
        return ""

    def _worth_more_rounds(self) -> bool:
        """Where a time limit holds as well, rounds that never overlapped (on a busy machine) are no reason to stop."""
        settings = self._settings
        return settings.seconds is not None and self._overlapped == 0 and settings.threads > 1 and not self._failures

    # --- for concurrently() -----------------------------------------------------------------------------------------

    def run_bodies(self, bodies: Sequence[Callable[[], object]]) -> list[tuple[int, BaseException]]:
        """Run the bodies that a test brings itself (:class:`ftcheck.workload.Supervisor`)."""
        if self._copies > 1:
            self.abandoned = True  # here as well: the body may catch everything
            raise BringsItsOwnThreads
        self._most_bodies = max(self._most_bodies, len(bodies))
        context = contextvars.copy_context()
        if self._settings.threads == 1:  # what a body starts in turn comes here as well
            alone = [run_once([functools.partial(context.copy().run, body)], self._round)[0] for body in bodies]
            return [(number, failure) for number, failed in enumerate(alone) for _, failure in failed]
        context.run(supervisor.set, None)
        inner = [functools.partial(context.copy().run, body) for body in bodies]
        failures, stamps = run_once(inner, self._round, self._conditions.begin_thread)
        self._own_overlap |= overlap.overlapped(stamps)
        return failures

    def _must_run_alone(self, call: Watched) -> None:
        if call.event_loop or (self._copies == 1 and not (call.main_thread and threading.get_ident() in self._numbers)):
            return
        if not self._settings.allows(call.shown):
            self._give_up(call.reason)  # here as well: the body may catch everything
            raise MustRunAlone(call.reason)

    def _give_up(self, why: str) -> None:
        """The workload cannot run in several threads."""
        if not self._alone:
            self._given_up = time.monotonic()
        self._alone, self.abandoned = why, True

    def _put_back(self) -> None:
        """Undo what bodies replaced in modules; they cannot do it themselves when several do it at once."""
        if self._conditions.replaced is None:
            return
        for change in self._conditions.replaced.take():
            if self._copies > 1 and not self._settings.allows(change.what.shown):
                change.undo()
                self._give_up(change.what.reason)

    def _look_for_imports(self) -> None:
        """A body has imported a module whose functions have to be watched: the rounds so far did not."""
        if self._conditions.watch is not None and self._conditions.watch.refresh():
            self.unwatched = self.abandoned = True

    # --- the books ----------------------------------------------------------------------------------------------------

    def _record(self, number: int, phase: str, failure: BaseException) -> None:
        if isinstance(failure, BringsItsOwnThreads | MustRunAlone):
            self.abandoned = True
        else:
            self._failures.append(ThreadFailure(number, self._round, phase, failure))

    def _record_stray(self, failure: BaseException) -> None:
        self._record(self._numbers.get(threading.get_ident(), -1), "background", failure)

    def _coverage(self) -> Coverage:
        return Coverage(
            threads=self._most_bodies,
            rounds=self._round,
            overlapped=self._overlapped,
            failed=len({failure.round for failure in self._failures}),
            calls=self._calls,
            seconds=round(time.monotonic() - self._began, 6),
            limit=self._limit or "failures",
            gil=interpreter.gil_enabled(),
        )


def _over(threads: Sequence[threading.Thread]) -> bool:
    """Whether all threads end before a tick is over. A join sleeps at once, where the wait of an event would spin first."""
    deadline = time.monotonic() + _TICK
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
    return not any(thread.is_alive() for thread in threads)


def _nothing() -> None:
    """The body of a thread whose set-up failed: it still has to come to the start line."""


@contextlib.contextmanager
def _short_turns() -> Iterator[None]:
    before = sys.getswitchinterval()
    if interpreter.gil_enabled():
        sys.setswitchinterval(_SWITCH_INTERVAL)
    try:
        yield
    finally:
        sys.setswitchinterval(before)

"""Under control: the state of the process in which schedules can be run, and the running of one.

While a :class:`Control` is entered, the blocking calls of the interpreter are replaced (for the threads of a run only), a
pool of threads waits for bodies, the process is bound to one CPU (two threads of which one runs at a time need no more, and
are handed over to faster there), and the garbage collector runs between runs only, since where it runs depends on how much
was allocated before. Code in scope has its scheduling points from the first instruction on: it is found before the first
run, and code that is new in a run (a module that is imported in it) is noted, so that nobody trusts that run.
"""

from __future__ import annotations

import contextlib
import contextvars
import enum
import gc
import os
import threading
import types
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple, Self

from ftcheck import _core, workload
from ftcheck.explore import builtin_calls, native, pool, sites
from ftcheck.explore.executors import Executors
from ftcheck.explore.outside import Watchdog
from ftcheck.explore.schedule import Schedule
from ftcheck.explore.scope import Scope
from ftcheck.explore.sites import Granularity
from ftcheck.explore.unwinding import Unheard
from ftcheck.explore.watched import Watched
from ftcheck.stress import stray

_COLLECT_EVERY = 2_000
"""Runs between two garbage collections."""
LONGEST = 2_000_000
"""Scheduling points of a run that is known to come to its end, or was seen to."""


class Ending(enum.IntEnum):
    """How a run ended; ``enum ftc_outcome`` in ``_core/sched.h``."""

    COMPLETE = 0
    DEADLOCK = 1
    TOO_LONG = 2
    """More scheduling points than allowed: a livelock, perhaps, or just long."""
    TOO_MANY_THREADS = 3
    INTERRUPTED = 4
    REDUNDANT = 5
    """Given up by a systematic search: it would have been equivalent to an earlier run."""


_ENDINGS = tuple(Ending)


class Log:
    """What a run is to note; added up with ``|``. Plain numbers: flags of :mod:`enum` cost more than many points."""

    NOTHING = 0
    SWITCHES = 1
    DECISIONS = 2
    OPERATIONS = 4
    VALUES = 8
    """With the operations: what each reads or writes, as text."""


class Attempt(NamedTuple):
    """How one run is scheduled.

    :param policy: ``plan``, ``walk``, ``pct``, ``pos``, ``surw``, ``race`` or ``follow``; see the C file of that name.
        Or one of the two in ``tree.c``: ``dpor`` and ``bounded``.
    :param parameters: what that policy takes.
    :param seed: of all its random choices.
    :param only_hot: decide only at blocking calls and where accesses were seen to conflict.
    :param strategy: whose attempt it is, for the statistics.
    :param limit: scheduling points after which it is given up, where that is to be sooner or later than for others.
    """

    policy: str
    parameters: Any = None
    seed: int = 0
    only_hot: bool = False
    strategy: str = ""
    limit: int | None = None


class Run(NamedTuple):
    """What came of one run.

    :param failure: what the test raised, or None.
    :param steps: scheduling points passed; **decisions**: those at which another thread could have gone on.
    :param preemptions: times a thread was stopped although it could have gone on.
    :param seconds: virtual time that passed in sleeps and timeouts.
    :param timed: somebody slept, or waited with a timeout.
    :param left: a daemon thread did not come to rest after the end of the test, and was cut off; **daemons**: how many the
        run has started, those of executors among them.
    :param uncontrolled: where threads blocked outside of control: in a socket, a lock in C. What the run did afterwards is
        not determined by its decisions alone.
    :param failed_in: the thread in which the failure came up, 0 where the test itself raised it; -1: not known.
    :param in_extensions: how many of the points were memory accesses of extensions; **races**: data races between these.
    :param new_code: code came into scope in this run: it may not have stopped where the next one does.
    :param rows: its switches, as :func:`ftcheck._core.switches` gives them; None where they were not noted.
    """

    ending: Ending
    failure: BaseException | None
    steps: int
    decisions: int
    switches: int
    preemptions: int
    threads: int
    seconds: float
    rows: Sequence[tuple[int, int, int, int]] | None
    new_code: bool
    timed: bool = False
    uncontrolled: tuple[str, ...] = ()
    failed_in: int = 0
    left: bool = False
    in_extensions: int = 0
    races: native.DataRaces | None = None
    daemons: int = 0

    @property
    def schedule(self) -> Schedule | None:
        """The decisions that make it; made when it is asked for, since few runs are looked at."""
        return None if self.rows is None else Schedule.from_core(self.rows)

    @property
    def failed(self) -> bool:
        """Whether this run shows a bug."""
        return self.failure is not None or self.ending is Ending.DEADLOCK or self.races is not None


@contextlib.contextmanager
def _nobody_times_the_collector() -> Iterator[None]:
    """Hypothesis looks at the clock when the collector runs, in the thread that does.

    It does so from its first example on. So ``gc.collect()`` in a test would have scheduling points in one process, and none
    in another one.
    """
    theirs = [one for one in gc.callbacks if (getattr(one, "__module__", None) or "").partition(".")[0] == "hypothesis"]
    for one in theirs:
        gc.callbacks.remove(one)
    try:
        yield
    finally:
        gc.callbacks[:0] = theirs


class Control:
    """Entered once per test; then :meth:`run` runs it under one schedule after the other.

    :param around: what it gives is entered before each run and left after it, outside of control.
    :param limit: scheduling points after which a run is given up.
    :param stay: points for which a thread may go on while others could run; then it gives way, because it may be waiting
        for them in a loop.
    :ivar kept: daemon threads that a run ended with which was through, at most: they wait for more work, and the next run
        finds them gone.
    :raises RuntimeError: the process is under control already, or every tool id of ``sys.monitoring`` is taken.
    """

    def __init__(
        self,
        scope: Scope,
        *,
        granularity: Granularity = Granularity.ACCESSES,
        around: Callable[[], contextlib.AbstractContextManager[object]] | None = None,
        limit: int = 100_000,
        stay: int = 1_000,
    ) -> None:
        self._limit, self._stay, self._around = limit, stay, around
        self._watched = Watched(scope, granularity)
        self._watchdog = Watchdog(self._watched)
        self._unheard = Unheard()
        self._executors = Executors()
        self._runs = 0
        self.kept = 0
        self._leaving = contextlib.ExitStack()
        self._strays: list[tuple[BaseException, int]] = []
        self._hooks = stray.Hooks(lambda one: self._strays.append((one, _running())))

    def __enter__(self) -> Self:
        self._watched.check()
        with contextlib.ExitStack() as stack:
            if gc.isenabled():
                stack.callback(gc.enable)
            gc.disable()
            stack.enter_context(_nobody_times_the_collector())
            if hasattr(os, "sched_setaffinity"):
                cpus = os.sched_getaffinity(0)
                ours = os.getpid() % len(cpus)  # several processes may explore at the same time: not all on one CPU
                stack.callback(os.sched_setaffinity, 0, cpus)
                os.sched_setaffinity(0, {sorted(cpus)[ours]})
            stack.callback(pool.send_home)
            _core.take_control()
            stack.callback(_core.give_back)
            builtin_calls.classify()
            sites.quiet_threading()
            stack.enter_context(self._executors)
            stack.enter_context(self._unheard)
            stack.enter_context(self._watchdog)
            stack.enter_context(self._watched)
            self._leaving = stack.pop_all()
        return self

    def __exit__(self, *args: object) -> None:
        self._leaving.close()

    @property
    def codes(self) -> Collection[types.CodeType]:
        """The code in scope that is known by now."""
        return self._watched.codes

    def see(self, value: object) -> None:
        """A function, a class or a code object that is about to run, and that no module may hold: it gets its points now."""
        self._watched.see(value)

    # --- runs ----------------------------------------------------------------------------------------------------------

    def run(self, body: Callable[[], object], attempt: Attempt, log: int = Log.SWITCHES) -> Run:
        """Call the body under control.

        :raises KeyboardInterrupt: Ctrl-C; nothing is left behind.
        """
        if log & Log.VALUES:  # it is to be told: also where the set-up makes locks
            _core.follow_makers()
        try:
            if self._around is None:
                return self._run(body, attempt, log)
            with self._around():
                return self._run(body, attempt, log)
        finally:
            if log & Log.VALUES:
                _core.forget_makers()

    def _run(self, body: Callable[[], object], attempt: Attempt, log: int) -> Run:
        __tracebackhide__ = True
        self._runs += 1
        if self._runs % _COLLECT_EVERY == 0:
            gc.collect()
        self._watched.place_new()  # it has come since the last run, such as in a set-up
        context = contextvars.copy_context()
        context.run(workload.supervisor.set, SUPERVISOR)
        failure: BaseException | None = None
        failed_in = 0
        policy, parameters, seed, only_hot, _, limit = attempt
        limit = self._limit if limit is None else limit
        with self._hooks:
            in_extensions = native.begin()
            _core.begin_run(policy, parameters, seed, limit, self._stay, log, only_hot)
            try:
                context.run(body)
            except _core.Abandoned:
                pass
            except BaseException as raised:
                failure = raised
            (
                ending, steps, decisions, switches, preemptions, threads, clock, timed, left, daemons, kept, _, outside
            ) = _core.end_run()  # fmt: skip
        points, races = native.end() if in_extensions else (0, None)
        if ending in (Ending.TOO_LONG, Ending.REDUNDANT) and not isinstance(failure, KeyboardInterrupt):
            failure = races = None  # it may have come to its end by turns that nobody can repeat
        self._executors.put_back()
        if isinstance(failure, KeyboardInterrupt):
            raise failure
        if ending == Ending.TOO_MANY_THREADS:
            _clear_limbo()
        if self._strays:
            strays = [(one, thread) for one, thread in self._strays if not isinstance(one, _core.Abandoned)]
            if failure is None and ending != Ending.REDUNDANT and strays:
                failure, failed_in = strays[0]
            self._strays.clear()
        rows = _core.switches() if log & Log.SWITCHES else None
        new_code = self._watched.place_new()
        if ending == Ending.COMPLETE:
            self.kept = max(self.kept, kept)
        return Run(
            _ENDINGS[ending],
            failure,
            steps,
            decisions,
            switches,
            preemptions,
            threads,
            clock / 1e9,
            rows,
            new_code,
            bool(timed),
            tuple(outside),
            failed_in,
            bool(left),
            points,
            races,
            daemons,
        )


def _clear_limbo() -> None:
    """A thread that cannot be started leaves ``threading``'s list of those in limbo only if that is an ``Exception``."""
    limbo: dict[threading.Thread, threading.Thread] = vars(threading)["_limbo"]
    for thread in [one for one in limbo if one.ident is None]:
        del limbo[thread]


def _running() -> int:
    """The thread that has the token: the last operation in the log is its own. -1 where operations are not noted."""
    operations = _core.trace()[2]
    return int(operations[-1][0]) if operations else -1


class _Bodies:
    """What :func:`ftcheck.concurrently` finds in a run."""

    def run_bodies(self, bodies: Sequence[Callable[[], object]]) -> list[tuple[int, BaseException]]:
        context = contextvars.copy_context()
        raised = pool.run_bodies([*bodies], [context.copy() for _ in bodies], builtins=True)
        return [(number, one) for number, one in enumerate(raised) if one is not None]


SUPERVISOR = _Bodies()

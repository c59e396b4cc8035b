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
import inspect
import os
import sys
import sysconfig
import threading
import types
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple, Self

from ftcheck import _core, workload
from ftcheck.explore import builtin_calls, pool, sites
from ftcheck.explore.outside import Watchdog
from ftcheck.explore.schedule import Schedule
from ftcheck.explore.sites import Granularity
from ftcheck.stress import stray

_COLLECT_EVERY = 2_000
"""Runs between two garbage collections."""


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

    :param policy: ``plan``, ``walk``, ``pct``, ``pos`` or ``surw``; see the C file of that name.
    :param parameters: what that policy takes.
    :param seed: of all its random choices.
    :param only_hot: decide only at blocking calls and where accesses were seen to conflict.
    :param strategy: whose attempt it is, for the statistics.
    :param limit: scheduling points after which it is given up, where that is to be sooner than for all others.
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
    :param uncontrolled: where threads blocked outside of control: in a socket, a lock in C. What the run did afterwards is
        not determined by its decisions alone.
    :param failed_in: the thread in which the failure came up, 0 where the test itself raised it; -1: not known.
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

    @property
    def schedule(self) -> Schedule | None:
        """The decisions that make it; made when it is asked for, since few runs are looked at."""
        return None if self.rows is None else Schedule.from_core(self.rows)

    @property
    def failed(self) -> bool:
        """Whether this run shows a bug."""
        return self.failure is not None or self.ending is Ending.DEADLOCK


class Scope:
    """Which code is explored: that of some folders, without what is installed in them, and that of named packages.

    :param folders: absolute paths, with a separator at the end.
    :param packages: absolute paths of installed packages (with a separator at the end) or modules that are wanted as well.
    """

    def __init__(self, folders: Collection[str], packages: Collection[str] = ()) -> None:
        self._folders, self._packages = tuple(folders), tuple(packages)
        found = sysconfig.get_paths()
        installed = {found[name] + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")}
        self._outside = (*installed, _HOME)

    def __contains__(self, file: str) -> bool:
        return file.startswith(self._packages) or (file.startswith(self._folders) and not file.startswith(self._outside))


class Control:
    """Entered once per test; then :meth:`run` runs it under one schedule after the other.

    :param around: what it gives is entered before each run and left after it, outside of control.
    :param limit: scheduling points after which a run is given up.
    :param stay: points for which a thread may go on while others could run; then it gives way, because it may be waiting
        for them in a loop.
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
        self._scope, self._granularity, self._limit, self._stay = scope, granularity, limit, stay
        self._around = around
        self._watched: dict[int, types.CodeType] = {}  # by identity: equal code may stand in two files
        self._cached: set[str] = set()
        self._watchdog = Watchdog(self._watched)
        self._tool = -1
        self._runs = 0
        self._new_code = False
        self._cpus: set[int] | None = None
        self._collecting = False
        self._strays: list[tuple[BaseException, int]] = []
        self._hooks = stray.Hooks(lambda one: self._strays.append((one, _running())))

    def __enter__(self) -> Self:
        monitoring = sys.monitoring
        free = [number for number in (4, 3, 5, 2, 0) if monitoring.get_tool(number) is None]
        if not free:
            raise RuntimeError("every tool id of sys.monitoring is in use (a debugger, coverage, a profiler)")
        _core.take_control()
        builtin_calls.classify()
        sites.quiet_threading()
        self._tool = free[0]
        monitoring.use_tool_id(self._tool, "ftcheck")
        monitoring.register_callback(self._tool, monitoring.events.INSTRUCTION, _core.instruction)
        monitoring.register_callback(self._tool, monitoring.events.PY_START, self._started)
        if hasattr(os, "sched_setaffinity"):
            self._cpus = os.sched_getaffinity(0)
            ours = os.getpid() % len(self._cpus)  # several processes may explore at the same time: not all on one CPU
            os.sched_setaffinity(0, {sorted(self._cpus)[ours]})
        self._collecting = gc.isenabled()
        gc.disable()
        for module in list(sys.modules.values()):
            if isinstance(module, types.ModuleType) and _dict_of(module).get("__file__") in _Files(self._scope):
                for code in _codes_of(module):
                    self._watch(code)
                for kind in list(_dict_of(module).values()):
                    self._cached |= sites.cached_names(kind) if isinstance(kind, type) else set()
        self._place_points()
        self._watchdog.__enter__()
        monitoring.set_events(self._tool, monitoring.events.PY_START)
        return self

    def __exit__(self, *args: object) -> None:
        monitoring = sys.monitoring
        monitoring.set_events(self._tool, 0)
        for code in [*self._watched.values(), *sites.callers()]:
            monitoring.set_local_events(self._tool, code, 0)
        self._watchdog.__exit__()
        _core.give_back()
        pool.send_home()
        monitoring.register_callback(self._tool, monitoring.events.INSTRUCTION, None)
        monitoring.register_callback(self._tool, monitoring.events.PY_START, None)
        monitoring.free_tool_id(self._tool)
        if self._cpus is not None:
            os.sched_setaffinity(0, self._cpus)
        if self._collecting:
            gc.enable()

    @property
    def codes(self) -> Collection[types.CodeType]:
        """The code in scope that is known by now."""
        return self._watched.values()

    # --- code in scope -------------------------------------------------------------------------------------------------

    def see(self, value: object) -> None:
        """A function, a class or a code object that is about to run, and that no module may hold: it gets its points now."""
        before = len(self._watched)
        for code in (value,) if isinstance(value, types.CodeType) else _codes_in(value, 0):
            self._watch(code)
        self._new_code |= len(self._watched) > before

    def _started(self, code: types.CodeType, offset: int) -> object:
        if code.co_filename in self._scope and id(code) not in self._watched:
            self._watch(code)
            self._new_code = True
        return sys.monitoring.DISABLE

    def _watch(self, code: types.CodeType) -> None:
        for one in sites.nested(code):
            if id(one) not in self._watched and one.co_filename in self._scope:
                self._watched[id(one)] = one

    def _place_points(self) -> None:
        """Tables for all watched code; again when some was added, because it may set names that others read."""
        stored = self._cached.union(*(sites.stored_names(code) for code in self._watched.values()))
        for code in self._watched.values():
            _core.watch_code(code, *sites.table(code, self._granularity, stored))
            sys.monitoring.set_local_events(self._tool, code, sys.monitoring.events.INSTRUCTION)
        for code in sites.callers():
            _core.watch_code(code, *sites.calls_only(code))
            sys.monitoring.set_local_events(self._tool, code, sys.monitoring.events.INSTRUCTION)
        sys.monitoring.restart_events()

    # --- runs ----------------------------------------------------------------------------------------------------------

    def run(self, body: Callable[[], object], attempt: Attempt, log: int = Log.SWITCHES) -> Run:
        """Call the body under control.

        :raises KeyboardInterrupt: Ctrl-C; nothing is left behind.
        """
        if self._around is None:
            return self._run(body, attempt, log)
        with self._around():
            return self._run(body, attempt, log)

    def _run(self, body: Callable[[], object], attempt: Attempt, log: int) -> Run:
        __tracebackhide__ = True
        self._runs += 1
        if self._runs % _COLLECT_EVERY == 0:
            gc.collect()
        if self._new_code:  # since the last run, such as in a set-up: it has no points yet
            self._place_points()
        self._new_code = False
        context = contextvars.copy_context()
        context.run(workload.supervisor.set, SUPERVISOR)
        failure: BaseException | None = None
        failed_in = 0
        policy, parameters, seed, only_hot, _, limit = attempt
        limit = self._limit if limit is None else min(limit, self._limit)
        with self._hooks:
            _core.begin_run(policy, parameters, seed, limit, self._stay, log, only_hot)
            try:
                context.run(body)
            except _core.Abandoned:
                pass
            except BaseException as raised:
                failure = raised
            ending, steps, decisions, switches, preemptions, threads, clock, timed, _, outside = _core.end_run()
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
        new_code = self._new_code
        if new_code:
            self._place_points()
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
_HOME = __file__.rpartition("explore")[0]


class _Files:
    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def __contains__(self, file: object) -> bool:
        return isinstance(file, str) and file in self._scope


def _dict_of(module: types.ModuleType) -> dict[str, Any]:
    """Without asking the module: a lazy one (``importlib.util.LazyLoader``, ``six.moves``) would be imported now."""
    found: dict[str, Any] = types.ModuleType.__getattribute__(module, "__dict__")
    return found


def _codes_of(module: types.ModuleType) -> Iterator[types.CodeType]:
    """The code of the functions and classes that a module holds."""
    for value in list(_dict_of(module).values()):
        yield from _codes_in(value, 0)


def _codes_in(value: object, depth: int) -> Iterator[types.CodeType]:
    # Objects with a __getattr__ of their own are not asked: a proxy would resolve itself, a mock make an attribute.
    if isinstance(value, (types.MethodType, staticmethod, classmethod)):
        value = value.__func__
    if isinstance(value, property):
        for part in (value.fget, value.fset, value.fdel):
            yield from _codes_in(part, depth)
        return
    wrapped = inspect.getattr_static(value, "__wrapped__", value)
    code = wrapped.__code__ if isinstance(wrapped, types.FunctionType) else None
    if isinstance(code, types.CodeType):
        yield code
        for cell in (value.__closure__ if isinstance(value, types.FunctionType) else None) or ():
            if depth < 3:
                try:
                    yield from _codes_in(cell.cell_contents, depth + 1)
                except ValueError:
                    continue  # an empty cell
    elif isinstance(value, type) and depth < 3:
        for part in list(vars(value).values()):
            yield from _codes_in(part, depth + 1)

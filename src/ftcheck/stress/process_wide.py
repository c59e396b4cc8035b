"""Calls that change the whole process: a test that makes one cannot run twice at a time.

Two threads that each change the working directory disturb each other, and neither is to blame. Such a test has to run
alone. Reading its source does not tell (the call may be ten functions deep, or in a fixture), so the calls themselves
are watched while bodies run: functions written in C through ``_core/builtins.c``, functions written in Python through
``sys.monitoring`` PY_START events of their code objects (PEP 669). Both see a call whatever the name it was imported
under, and cost nothing where none is made. The call is *prevented*: it raises :class:`MustRunAlone`, so nothing has been
changed yet when the engine gives the round up.

A watched call outside of a round (a fixture of the session, another thread of the process) is none of our business: who
has to be asked is in a context variable, which only the engine's threads and the threads that these start have.
"""

from __future__ import annotations

import _tracemalloc  # noqa: F401  # so that it is watched in the first round: two threads in start() crash CPython 3.14.9
import contextvars
import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType
from typing import Any

from ftcheck import _core


class MustRunAlone(BaseException):
    """Raised in place of a watched call. A :exc:`BaseException`, so that few tests catch it; the engine knows anyway."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A function that must not run twice at a time.

    :param name: where it is found: module, then attributes. The module is not imported; it is watched once it is there.
    :param what: what it does, as in ``"changes the working directory"``.
    :param known_as: the name people know it by, where that is another.
    :param main_thread: it works on the main thread only, so not even one copy of the test can run on another.
    :param changes: whether a call with these arguments changes anything.
    :param event_loop: it waits in the operating system for what it has to do next: nothing to the parallel engine, but under
        control nobody else runs meanwhile.
    """

    name: str
    what: str
    known_as: str = ""
    main_thread: bool = False
    changes: Callable[..., bool] = lambda *args, **kwargs: True
    event_loop: bool = False

    @property
    def shown(self) -> str:
        """The name that people see, and that ``allow`` takes."""
        return self.known_as or self.name

    @property
    def reason(self) -> str:
        """Why a test that calls it runs alone."""
        return f"{self.what} ({self.shown})"


def _sets_locale(category: object, locale: object = None) -> bool:
    return locale is not None


def _to_standard_stream(fd: object, fd2: object, *inheritable: object, **named: object) -> bool:
    return isinstance(fd2, int) and fd2 <= 2


_LOOP = "runs an event loop, and nobody controls what that waits for"
WATCHED: tuple[Watched, ...] = (
    Watched("os.chdir", "changes the working directory"),
    Watched("os.fchdir", "changes the working directory"),
    Watched("os.putenv", "changes the environment"),
    Watched("os.unsetenv", "changes the environment"),
    Watched("os.umask", "changes the file mode creation mask"),
    Watched("os.dup2", "replaces a standard stream", changes=_to_standard_stream),
    Watched("_locale.setlocale", "changes the locale", "locale.setlocale", changes=_sets_locale),
    Watched("time.tzset", "changes the time zone"),
    Watched("_signal.signal", "sets a signal handler", "signal.signal", main_thread=True),
    Watched("_signal.set_wakeup_fd", "sets a signal handler", "signal.set_wakeup_fd", main_thread=True),
    Watched("_signal.alarm", "sets the process's timer", "signal.alarm"),
    Watched("_signal.setitimer", "sets the process's timer", "signal.setitimer"),
    Watched("_socket.setdefaulttimeout", "changes the default timeout of sockets", "socket.setdefaulttimeout"),
    Watched("resource.setrlimit", "changes a resource limit"),
    Watched("_tracemalloc.start", "switches tracing on or off", "tracemalloc.start"),
    Watched("_tracemalloc.stop", "switches tracing on or off", "tracemalloc.stop"),
    Watched("sys.set_int_max_str_digits", "changes a limit of the interpreter"),
    Watched("unittest.mock._patch.__enter__", "patches an object that all threads see", "unittest.mock.patch"),
    Watched("unittest.mock._patch_dict._patch_dict", "patches an object that all threads see", "unittest.mock.patch.dict"),
    Watched("mock.mock._patch.__enter__", "patches an object that all threads see", "mock.patch"),
    Watched("mock.mock._patch_dict._patch_dict", "patches an object that all threads see", "mock.patch.dict"),
    Watched("unittest._log._AssertLogsContext.__enter__", "collects the log records of every thread", "assertLogs"),
    Watched("contextlib._RedirectStream.__enter__", "replaces a standard stream", "contextlib.redirect_stdout"),
    Watched("asyncio.runners.Runner.run", _LOOP, "asyncio.run", event_loop=True),
    Watched("asyncio.base_events.BaseEventLoop.run_until_complete", _LOOP, "asyncio.run", event_loop=True),
    Watched("asyncio.base_events.BaseEventLoop.run_forever", _LOOP, "asyncio.run", event_loop=True),
    Watched("trio._core._run.run", _LOOP, "trio.run", event_loop=True),
)
_CATCH_WARNINGS = Watched(
    "warnings.catch_warnings.__enter__", "collects the warnings of every thread", "warnings.catch_warnings"
)

in_charge: contextvars.ContextVar[Callable[[Watched], None] | None] = contextvars.ContextVar(
    "ftcheck_in_charge", default=None
)
"""Who is asked about a watched call; may raise :class:`MustRunAlone`."""


class ProcessWatch:
    """Watches for calls that change the whole process, while it is :meth:`installed <install>`.

    :param also: more functions, besides :data:`WATCHED`.
    :param harness: modules and packages that run tests: what they call for their own purposes is not the test's doing.
    """

    def __init__(self, also: Sequence[Watched] = (), harness: Sequence[str] = ()) -> None:
        self._harness = tuple(f"{name}." for name in harness)
        here = [*WATCHED, *also]
        if not getattr(sys.flags, "context_aware_warnings", False):  # PEP 703 builds: each context has its own filters
            here.append(_CATCH_WARNINGS)
        self._waiting = here
        self._builtins: list[BuiltinFunctionType] = []
        self._codes: dict[CodeType, Watched] = {}
        self._tool = -1
        self._loaded = 0
        self.unwatched: list[str] = []

    def install(self) -> None:
        """Begin to watch what is loaded already. :attr:`unwatched` names what cannot be watched here."""
        monitoring = sys.monitoring
        # Hypothesis warns where 3 is taken; coverage, profilers and debuggers have 1, 2 and 0.
        self._tool = next((number for number in (4, 5, 3, 2, 0) if monitoring.get_tool(number) is None), -1)
        if self._tool >= 0:
            monitoring.use_tool_id(self._tool, "ftcheck")
            monitoring.register_callback(self._tool, monitoring.events.PY_START, self._at_start)
        self.refresh()

    def uninstall(self) -> None:
        """Stop watching."""
        monitoring = sys.monitoring
        for function in self._builtins:
            _core.before_call(function, None)
        if self._tool >= 0:
            for code in self._codes:
                monitoring.set_local_events(self._tool, code, monitoring.events.NO_EVENTS)
            monitoring.register_callback(self._tool, monitoring.events.PY_START, None)
            monitoring.free_tool_id(self._tool)
        self._builtins.clear()
        self._codes.clear()
        self._tool = -1

    def refresh(self) -> bool:
        """Watch what has been imported since; whether there was anything. Cheap where nothing has been imported."""
        if len(sys.modules) == self._loaded:
            return False
        self._loaded = len(sys.modules)
        found = {watched: functions for watched in self._waiting if (functions := _functions(watched.name))}
        for watched, functions in found.items():
            self._waiting.remove(watched)
            for function in functions:
                self._watch(function, watched)
        return bool(found)

    def _watch(self, function: Any, watched: Watched) -> None:
        code = getattr(function, "__code__", None)
        if isinstance(function, BuiltinFunctionType):
            try:
                _core.before_call(function, functools.partial(self._called, watched))
                self._builtins.append(function)
            except TypeError, RuntimeError:
                self.unwatched.append(watched.name)
        elif code is not None and self._tool >= 0:
            self._codes[code] = watched
            sys.monitoring.set_local_events(self._tool, code, sys.monitoring.events.PY_START)
        else:
            self.unwatched.append(watched.name)

    def _at_start(self, code: CodeType, offset: int) -> None:
        ask = in_charge.get()
        watched = self._codes.get(code)
        if ask is not None and watched is not None and not self._by_harness(watched, sys._getframe(1).f_back):
            ask(watched)

    def _called(self, watched: Watched, *args: object, **kwargs: object) -> None:
        ask = in_charge.get()
        if ask is not None and _changes(watched, args, kwargs) and not self._by_harness(watched, sys._getframe(1)):
            ask(watched)

    def _by_harness(self, watched: Watched, caller: FrameType | None) -> bool:
        while caller is not None:
            module = str(caller.f_globals.get("__name__"))
            if module != "contextlib" and not watched.name.startswith(f"{module}."):  # through these somebody else calls
                return f"{module}.".startswith(self._harness)
            caller = caller.f_back
        return False


def _changes(watched: Watched, args: tuple[object, ...], kwargs: dict[str, object]) -> bool:
    try:
        return watched.changes(*args, **kwargs)
    except TypeError:  # wrong arguments: the function itself says so
        return False


def _functions(name: str) -> list[Any]:
    """The functions that a dotted name stands for: one, or with ``*`` all of a module; none if it is not loaded."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        module = sys.modules.get(".".join(parts[:length]))
        if module is not None:
            return _inside(module, parts[length:])
    return []


def _inside(module: ModuleType, path: Sequence[str]) -> list[Any]:
    if list(path) == ["*"]:
        kinds = (FunctionType, BuiltinFunctionType)
        return [one for one in vars(module).values() if isinstance(one, kinds) and one.__module__ == module.__name__]
    found: Any = module
    for part in path:
        found = inspect.getattr_static(found, part, None)
    if isinstance(found, (staticmethod, classmethod)):
        found = found.__func__
    if isinstance(found, type):
        found = found.__dict__.get("__init__")
    return [] if found is None else [inspect.unwrap(found)]

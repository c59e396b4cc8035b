"""What suites that use pytest-run-parallel have in them: its markers and ini options, honoured without it.

Suites depend on three public things of that plugin: names of markers, of ini options and of fixtures. All of them mean the
same here. Where the plugin is not loaded, they are declared by us; where it is, its own fixtures would say "1 thread,
index 0" of a test that we run in threads, so their values come from us (``their_fixtures.py``), and its wrapping
of tests, which would start threads in each of our threads, is taken out of a run of ours (:func:`take_over`,
:func:`left_unwrapped`). Its code is not called.

Markers are read from the module to the function, and the nearer one wins, theirs as ours; on the same node ours wins.
"""

from __future__ import annotations

import contextlib
import dis
import inspect
import itertools
import re
import types
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from ftcheck.option_table import SettingsError, auto_threads
from ftcheck.plugin.their_fixtures import THEIR_MODULE, Fixtures

_THEIR_NAMES = ("run-parallel", THEIR_MODULE)
_THEIR_HOOKS = "_run-parallel"
_COUNTED = ("parallel_threads", "parallel_threads_limit", "force_parallel_threads", "iterations")
MARKERS = frozenset({"thread_unsafe", *_COUNTED})
_DECLARATIONS = (
    "thread_unsafe(reason=...): run this test alone",
    "parallel_threads(n): run this test in n threads; 1: alone",
    "parallel_threads_limit(n): run this test in n threads at most; 1: alone",
    "force_parallel_threads(n): run this test in n threads, whatever the other two say",
    "iterations(n): run this test for n rounds",
)


# --- declaring -----------------------------------------------------------------------------------------------------------


def loaded(config: pytest.Config) -> bool:
    """Whether pytest-run-parallel itself is there."""
    return any(config.pluginmanager.hasplugin(name) for name in _THEIR_NAMES)


def add_ini(config: pytest.Config, parser: pytest.Parser) -> None:
    """Declare their ini options, unless they do: when all plugins are loaded, before any conftest.py."""
    if not loaded(config):
        parser.addini("thread_unsafe_fixtures", "fixtures whose tests run alone", type="linelist", default=[])
        parser.addini("thread_unsafe_functions", "functions whose callers run alone", type="linelist", default=[])


def register(config: pytest.Config) -> None:
    """Declare their markers and fixtures, unless they do."""
    if loaded(config):
        return
    for text in _DECLARATIONS:
        config.addinivalue_line("markers", f"{text} (of pytest-run-parallel, honoured by ftcheck)")
    config.pluginmanager.register(Fixtures(), "ftcheck-run-parallel-fixtures")


def refusal(config: pytest.Config) -> str:
    """Why a run of ours cannot be a run of theirs as well; empty where it is not one."""
    option = config.option
    if getattr(option, "parallel_threads", None) not in (None, 0, 1, "0", "1"):
        return "--parallel-threads (pytest-run-parallel) would run every test in threads as well: give one of them"
    if getattr(option, "iterations", None) not in (None, 0, 1) and loaded(config):
        return "--iterations (pytest-run-parallel) would repeat every test in every thread: give --ftcheck-rounds=N instead"
    if getattr(option, "forever", False) and loaded(config):
        return "--forever (pytest-run-parallel) never ends, and ftcheck reports at the end: give --ftcheck-seconds=S instead"
    return ""


_DOTTED = r"[^\W\d]\w*(\.[^\W\d]\w*)*\.([^\W\d]\w*|\*)"


def unsafe_functions(config: pytest.Config, *, strict: bool) -> tuple[str, ...]:
    """The names in ``thread_unsafe_functions``: ``package.module.function``, or ``package.module.*``.

    :param strict: complain of a name that cannot be one; else leave it out (the run is not ours).
    :raises pytest.UsageError: such a name.
    """
    names = [name.strip() for name in config.getini("thread_unsafe_functions") if name.strip()]
    wrong = [name for name in names if not re.fullmatch(_DOTTED, name)]
    if wrong and strict:
        raise pytest.UsageError(
            f"{config.inipath or 'ini'}: thread_unsafe_functions must be names such as package.module.function or "
            f"package.module.*, not {wrong[0]!r}"
        )
    return tuple(name for name in names if name not in wrong)


def unsafe_fixtures(config: pytest.Config) -> frozenset[str]:
    """The names in ``thread_unsafe_fixtures``."""
    return frozenset(name.strip() for name in config.getini("thread_unsafe_fixtures"))


# --- markers -------------------------------------------------------------------------------------------------------------


class Asked:
    """What their markers ask of one test; fed from the farthest marker to the nearest.

    A marker of ours that names the same thing sets aside what stood farther away: :meth:`overruled`.
    """

    def __init__(self) -> None:
        self._threads: dict[str, int] = {}
        self._rounds: int | None = None

    def add(self, mark: pytest.Mark, nodeid: str) -> None:
        """Take in one marker.

        :raises SettingsError: it does not say a number.
        """
        if mark.name == "thread_unsafe":
            return
        value = mark.args[0] if len(mark.args) == 1 else mark.kwargs.get("n")
        if value == "auto":
            value = auto_threads()
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise SettingsError(
                f"@pytest.mark.{mark.name} of {nodeid} needs one whole number from 1 up, such as {mark.name}(4)."
            )
        if mark.name == "iterations":
            self._rounds = value
        else:
            self._threads[mark.name] = value

    def overruled(self, names: Iterable[str]) -> None:
        """One of our markers, as near or nearer, names these options."""
        if "threads" in names:
            self._threads.clear()
        if "rounds" in names:
            self._rounds = None

    @property
    def layer(self) -> dict[str, Any]:
        """What they ask for, as a layer of options; ``threads`` may be 1 here: run it alone."""
        layer: dict[str, Any] = {} if self._rounds is None else {"rounds": self._rounds}
        threads = self._threads.get("force_parallel_threads", self._threads.get("parallel_threads"))
        return layer if threads is None else {**layer, "threads": threads}

    def capped(self, threads: int) -> int:
        """The number of threads, under their limit."""
        forced = "force_parallel_threads" in self._threads
        return threads if forced else min(threads, self._threads.get("parallel_threads_limit", threads))

    @property
    def why_alone(self) -> str:
        """The marker that asks for one thread."""
        return next((f"marked {name}(1)" for name in reversed(_COUNTED) if self._threads.get(name) == 1), "")


def declared_unsafe(function: Any, depth: int = 2) -> str:
    """Why a test runs alone: ``__thread_safe__ = False`` on it, in it, or on what it calls by name, two calls deep."""
    return next(_declarations(function, depth, set()), "")


def _declarations(function: Any, depth: int, seen: set[int]) -> Iterator[str]:
    function = inspect.unwrap(getattr(function, "__func__", function))
    code = getattr(function, "__code__", None)
    if code is None or id(code) in seen:
        return
    seen.add(id(code))
    if getattr(function, "__thread_safe__", True) is False or _assigns_false(code):
        yield f"{function.__qualname__} says __thread_safe__ = False"
    scope = getattr(function, "__globals__", {})
    for name in code.co_names if depth else ():
        value = None if name.startswith("@") else scope.get(name)  # "@pytest_ar": put there by pytest
        if isinstance(value, types.FunctionType):
            yield from _declarations(value, depth - 1, seen)
        elif isinstance(value, types.ModuleType):
            for attribute in code.co_names:
                called = vars(value).get(attribute)
                if isinstance(called, types.FunctionType):
                    yield from _declarations(called, depth - 1, seen)


def _assigns_false(code: types.CodeType) -> bool:
    """Whether the body has ``__thread_safe__ = False``: where their plugin looks for it."""
    if "__thread_safe__" not in code.co_varnames + code.co_names:
        return False
    return any(
        load.opname in ("LOAD_CONST", "LOAD_SMALL_INT") and not load.argval
        for load, store in itertools.pairwise(dis.get_instructions(code))
        if store.opname.startswith("STORE") and "__thread_safe__" in (store.argval, *_first(store.argval))
    )


def _first(argument: object) -> tuple[object, ...]:
    """Of an instruction that does two things, what the first is done to."""
    return argument[:1] if isinstance(argument, tuple) else ()


# --- no double wrapping ----------------------------------------------------------------------------------------------


def take_over(config: pytest.Config) -> None:
    """In a run that is ours: their markers are honoured by us, so their plugin wraps no test."""
    if config.pluginmanager.hasplugin(_THEIR_HOOKS):
        config.pluginmanager.unregister(name=_THEIR_HOOKS)


@contextlib.contextmanager
def left_unwrapped(config: pytest.Config, items: Iterable[pytest.Item]) -> Iterator[None]:
    """Around the end of collection, in a run that is not ours: tests with our marker are not wrapped by their plugin."""
    plugin = config.pluginmanager.getplugin(_THEIR_HOOKS)
    before = [(item, item.__dict__.get("_obj")) for item in items if plugin is not None]
    yield
    for item, function in before:
        if item.__dict__.get("_obj") is not function:
            item.__dict__["_obj"] = function
        getattr(plugin, "run_in_parallel", {}).pop(item.nodeid, None)

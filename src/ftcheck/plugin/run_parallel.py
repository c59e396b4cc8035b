"""What suites that use pytest-run-parallel have in them: its markers and ini options, honoured without it.

Suites depend on three public things of that plugin: names of markers, of ini options and of fixtures. All of them mean the
same here. Where the plugin is not loaded, they are declared by us; where it is, its own fixtures would say "1 thread,
index 0" of a test that we run in threads, so their values come from us (``their_fixtures.py``), and its wrapping
of tests, which would start threads in each of our threads, is taken out of a run of ours (:func:`take_over`,
:func:`left_unwrapped`). Its code is not called.

Their markers are read in ``their_markers.py``.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ftcheck.plugin.their_fixtures import ThreadComparator

THEIR_MODULE = "pytest_run_parallel.plugin"
_THEIR_NAMES = ("run-parallel", THEIR_MODULE)
_THEIR_HOOKS = "_run-parallel"
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


class Fixtures:
    """Their fixtures for a run without them; the values are those of a test that runs alone."""

    @pytest.fixture
    def num_parallel_threads(self) -> int:
        """How many threads run this test."""
        return 1

    @pytest.fixture
    def num_iterations(self) -> int:
        """How many rounds of this test are run."""
        return 1

    @pytest.fixture
    def thread_index(self) -> int:
        """The number of the thread, from 0."""
        return 0

    @pytest.fixture
    def iteration_index(self) -> int:
        """The number of the round, from 0."""
        return 0

    @pytest.fixture
    def thread_comp(self) -> ThreadComparator:
        """Compares values across the threads of a round."""
        from ftcheck.plugin import their_fixtures  # not in every run

        return their_fixtures.ThreadComparator(1)


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

"""Which coroutine tests can run in threads: those that have an event loop for each copy.

A coroutine does nothing by itself; a plugin (or unittest) has to run it, and it is that plugin's event loop which must not
be one for all threads. What is known of each:

- ``unittest.IsolatedAsyncioTestCase``: a runner for each instance, and each thread has an instance.
- pytest-asyncio: a runner for each loop scope, held by a fixture of that scope. Function scope: a fixture of each copy.
- anyio: one runner for the process, in a module global.
- pytest-trio: puts a wrapper around the test and its fixtures into the item, before the copies are made.

Any other plugin is not known, and so its coroutines run alone: as pytest runs them, whoever that is.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from _pytest.python import Function
from _pytest.unittest import TestCaseFunction

_RUNNER = "_{}_scoped_runner"


def is_coroutine_test(item: Function) -> bool:
    """Whether calling the test, or the body of a ``@given`` test, gives a coroutine."""
    return any(inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one) for one in _bodies(item))


def _bodies(item: Function) -> Iterator[Any]:
    function = getattr(item.obj, "__func__", item.obj)
    yield function
    given = getattr(function, "hypothesis", None)
    if given is not None:
        yield getattr(given, "inner_test", None)


def cannot_run_in_threads(item: Function) -> str:
    """Why a test that needs an event loop has to run alone; empty where it has not."""
    asyncio = sys.modules.get("pytest_asyncio.plugin")
    managed = asyncio is not None and isinstance(item, asyncio.PytestAsyncioFunction)
    if asyncio is not None:
        reason = _wider_loop(item, asyncio)
        if reason:
            return reason
    if isinstance(item, TestCaseFunction):
        return ""
    if not is_coroutine_test(item):
        return _whose(item) if "anyio_backend" in item.fixturenames and _has_coroutine_fixture(item) else ""
    if not managed:
        return _whose(item)
    if hasattr(getattr(item.obj, "__func__", item.obj), "hypothesis"):
        return "pytest-asyncio exchanges the body of a @given test, and there is one for all threads"
    return ""


def cannot_be_explored(item: Function) -> str:
    """Why the interleavings of a coroutine test cannot be controlled; empty for all other tests."""
    return "a coroutine: nobody controls what its event loop waits for" if is_coroutine_test(item) else ""


def _has_coroutine_fixture(item: Function) -> bool:
    return any(
        inspect.iscoroutinefunction(one.func) or inspect.isasyncgenfunction(one.func)
        for definitions in item._fixtureinfo.name2fixturedefs.values()
        for one in definitions
        if one.scope == "function"
    )


def _whose(item: Function) -> str:
    if "anyio_backend" in item.fixturenames:
        return "anyio has one event loop runner for all threads"
    if item.get_closest_marker("trio") is not None:
        return "pytest-trio prepares the test before there are copies of it"
    return "a coroutine, run by a plugin that is not known to have an event loop for each thread"


def _wider_loop(item: Function, asyncio: Any) -> str:
    """A loop of pytest-asyncio that several copies would have to share."""
    scope = item._loop_scope if isinstance(item, asyncio.PytestAsyncioFunction) else "function"
    if scope != "function":
        return f"its event loop is shared (pytest-asyncio, loop_scope={scope!r})"
    for name, definitions in item._fixtureinfo.name2fixturedefs.items():
        for definition in definitions:
            function = definition.func
            theirs = asyncio._is_coroutine_or_asyncgen(function) or asyncio._is_asyncio_fixture_function(function)
            if theirs and definition.scope == "function":
                scope = fixture_loop_scope(item.config, definition)
                if scope != "function":
                    return f"the event loop of its fixture {name} is shared (pytest-asyncio, loop_scope={scope!r})"
    return ""


def fixture_loop_scope(config: pytest.Config, definition: Any) -> str:
    """The scope of the event loop that a function-scoped coroutine fixture runs in, by pytest-asyncio's rules."""
    default = config.getini("asyncio_default_fixture_loop_scope")
    default = "function" if default in (None, "", "fixture-scope") else default
    return str(getattr(definition.func, "_loop_scope", None) or default)

"""The markers of pytest-run-parallel, and its ``__thread_safe__``: what they ask of one test.

Markers are read from the module to the function, and the nearer one wins, theirs as ours; on the same node ours wins.
"""

from __future__ import annotations

import dis
import inspect
import itertools
import types
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from ftcheck.option_table import SettingsError, auto_threads

_COUNTED = ("parallel_threads", "parallel_threads_limit", "force_parallel_threads", "iterations")
MARKERS = frozenset({"thread_unsafe", *_COUNTED})


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

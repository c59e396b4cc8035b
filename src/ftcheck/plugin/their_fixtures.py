"""The fixtures of pytest-run-parallel, with values that are true here.

Where the plugin is not loaded, ``run_parallel.py`` declares them, with the values of a test that runs alone. In threads a
copy of a test has a :class:`Position`, and its values come from there, whoever defines the fixture (:func:`answer`): the
plugin's own would say "1 thread, index 0".
"""

import sys
import threading
import types
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from _pytest.fixtures import FixtureDef, SubRequest

from ftcheck.plugin import run_parallel

if TYPE_CHECKING:
    from ftcheck.settings import Settings

NAMES = ("num_parallel_threads", "num_iterations", "thread_index", "iteration_index", "thread_comp")
PER_THREAD = frozenset({"thread_index"})
"""Fixtures that threads never share, even where ``share`` says that they share all."""
PER_ROUND = frozenset({"thread_comp"})
"""Fixtures that the threads of a round always share."""


class Position(NamedTuple):
    """Where a copy of a test stands.

    :param thread: the number of its thread, from 0.
    :param round: the number of its round, from 0.
    :param threads: how many threads there are.
    :param rounds: how many rounds there can be.
    :param timeout: seconds that a round may take.
    """

    thread: int
    round: int
    threads: int
    rounds: int
    timeout: float = 60.0


ALONE = Position(0, 0, 1, 1)
POSITION = pytest.StashKey[Position]()


def position(settings: Settings, thread: int = 0, round: int = 1) -> Position:
    """The position of a thread's copy of a test.

    :param round: from 1, as the engine counts.
    """
    return Position(thread, round - 1, settings.threads, settings.rounds or 0, settings.timeout)


def answer(definition: FixtureDef[Any], request: SubRequest) -> object | None:
    """The value of one of their fixtures, for a test that has a position; None where it is not for us to say.

    A suite's own fixture is left alone, but for a stand-in for ``num_parallel_threads``: it says 1 because the plugin is
    missing, and that would be wrong here.
    """
    name = definition.argname
    if name not in NAMES or definition.scope != "function" or definition.params is not None:
        return None
    at = request.node.stash.get(POSITION, None)
    theirs = definition.func.__module__ in (run_parallel.THEIR_MODULE, run_parallel.__name__)
    if at is None or (not theirs and name != "num_parallel_threads"):
        return None
    value = _value(name, at)
    definition.cached_result = (value, definition.cache_key(request), None)
    return value


def _value(name: str, at: Position) -> object:
    if name == "thread_comp":
        return ThreadComparator(at.threads, at.timeout)
    return {
        "num_parallel_threads": at.threads,
        "num_iterations": at.rounds,
        "thread_index": at.thread,
        "iteration_index": at.round,
    }[name]


class ThreadComparator:
    """``thread_comp(name=value, ...)``: every thread of the round must come here, and with equal values.

    Equal means of one type, and ``==``, ``numpy.allclose`` for arrays, the same object for functions; a NaN is equal to
    a NaN.

    :param timeout: seconds of a round; a thread that has waited half of it for the others fails.
    """

    def __init__(self, threads: int, timeout: float = 60.0) -> None:
        self._threads, self._barrier = threads, threading.Barrier(threads, timeout=timeout / 2)
        self._lock = threading.Lock()
        self._values: list[dict[str, object]] = []

    def __call__(self, **values: object) -> None:
        __tracebackhide__ = True
        with self._lock:
            self._values.append(values)
        self._wait()
        seen = self._values
        if self._wait() == 0:
            self._values = []
        self._wait()
        for name, value in values.items():
            for other in seen:
                if name not in other:
                    raise AssertionError(f"thread_comp: another thread gave no value for {name}")
                if not _equal(value, other[name]):
                    raise AssertionError(f"thread_comp: {name} is {value!r} here, {other[name]!r} in another thread")

    def _wait(self) -> int:
        try:
            return self._barrier.wait()
        except threading.BrokenBarrierError:
            came = len(self._values)
            raise AssertionError(f"thread_comp: {came} of {self._threads} threads came to this comparison") from None


def _equal(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, types.FunctionType):
        return one is other
    if type(one).__module__ == "numpy" and type(one).__name__ == "ndarray":
        return bool(sys.modules["numpy"].allclose(one, other, equal_nan=True))
    return bool(one == other or (one != one and other != other))

"""What an engine runs: a workload, and :func:`concurrently`, with which a test brings its own threads.

A :class:`Workload` is a set-up, the bodies of the threads, and a teardown, for one round after the other. Engines know
nothing else of a test. :func:`concurrently` runs callables in threads of its own, all at once. On its own it is a small
helper for tests and scripts; inside an engine it tells that engine, through :data:`supervisor`, that the test has its
own threads, and how well they overlapped.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ftcheck import _core, interpreter


class Workload(Protocol):
    """One test, as an engine sees it. Every method is called once per round, except where it says otherwise."""

    @property
    def repeatable(self) -> bool:
        """Whether a body may be called several times in one round: it has no set-up of its own to wear out.

        Then :meth:`prepare` and :meth:`cleanup` are called once for all rounds, by several threads at a time.
        """

    def open_round(self, round: int) -> None:
        """Before a round, on one of its threads, while all others wait: make what the threads share."""

    def prepare(self, thread: int, round: int) -> Callable[[], object]:
        """This thread's own set-up, on the thread itself, one thread at a time; gives the body to call."""

    def cleanup(self, thread: int, round: int) -> None:
        """This thread's own teardown, on the thread itself, one thread at a time. Called even if prepare() raised."""

    def close_round(self, round: int) -> None:
        """After a round, on one of its threads, while all others wait: undo open_round()."""


class Supervisor(Protocol):
    """The engine that runs the code which calls :func:`concurrently`."""

    def run_bodies(self, bodies: Sequence[Callable[[], object]]) -> list[tuple[int, BaseException]]:
        """Run the bodies, one thread each, wait for all, and give the exceptions with the body's number."""


supervisor: contextvars.ContextVar[Supervisor | None] = contextvars.ContextVar("ftcheck_supervisor", default=None)


class BaseConcurrentFailures(BaseExceptionGroup[BaseException]):
    """What :func:`concurrently` raises when a body raised something that is no :exc:`Exception`.

    :ivar bodies: for each exception, the number of the body that raised it.
    """

    bodies: tuple[int, ...] = ()

    def __new__(cls, message: str, exceptions: Sequence[BaseException]) -> BaseConcurrentFailures:
        plain = all(isinstance(exception, Exception) for exception in exceptions)
        return super().__new__(ConcurrentFailures if plain else cls, message, exceptions)

    def derive(self, exceptions: Sequence[BaseException]) -> BaseConcurrentFailures:  # type: ignore[override]
        return BaseConcurrentFailures(self.message, exceptions)


class ConcurrentFailures(BaseConcurrentFailures, ExceptionGroup[Exception]):
    """What :func:`concurrently` raises: the exceptions of all bodies that failed. An :exc:`ExceptionGroup`."""


def concurrently(*bodies: Callable[[], Any], threads: int | None = None) -> None:
    """Run callables at the same time, one thread each; wait for all of them; raise their failures together.

    The threads are lined up before they start, so that even short bodies overlap. ::

        counter = Counter()
        ftcheck.concurrently(counter.increment, counter.increment)
        ftcheck.concurrently(counter.increment, threads=4)      # four copies of one body
        assert counter.value == 6

    Use it in any test, or in a plain script. Under ``@pytest.mark.ftcheck`` the test is rerun for many rounds, one copy
    at a time, because it brings its own threads.

    :param bodies: what the threads run; called without arguments, results are dropped.
    :param threads: run this many copies of a single body.
    :raises ExceptionGroup: one or more bodies raised; it holds all their exceptions, each with a note that says which
        body it was. A :exc:`BaseExceptionGroup` where one of them is no :exc:`Exception` (``SystemExit``).
    :raises TypeError: a body cannot be called, or ``threads`` goes with several bodies.
    :raises ValueError: there is no body, or ``threads`` is below 1.
    """
    bodies = checked(bodies, threads)
    in_charge = supervisor.get()
    failures = run_once(bodies)[0] if in_charge is None else in_charge.run_bodies(bodies)
    if failures:
        for number, exception in failures:
            with contextlib.suppress(Exception):
                exception.add_note(f"in body {number} of {len(bodies)} that ran concurrently: {_name(bodies[number])}")
        message = f"{len(failures)} of {len(bodies)} concurrent bodies failed"
        group = BaseConcurrentFailures(message, [exception for _, exception in failures])
        group.bodies = tuple(number for number, _ in failures)
        raise group


def checked(bodies: Sequence[Callable[[], Any]], threads: int | None = None) -> tuple[Callable[[], Any], ...]:
    """What :func:`concurrently` was given, as one body for each thread; raises as it says."""
    if not bodies:
        raise ValueError("concurrently() needs at least one callable")
    for number, body in enumerate(bodies):
        if not callable(body):
            raise TypeError(f"concurrently(): argument {number} is {body!r}, which cannot be called; pass the function")
    if threads is not None:
        if len(bodies) != 1:
            raise TypeError("concurrently(): threads=N runs N copies of one callable; pass only one with it")
        if isinstance(threads, bool) or not isinstance(threads, int):
            raise TypeError(f"concurrently(): threads must be a whole number, not {threads!r}")
        if threads < 1:
            raise ValueError(f"concurrently(): threads must be at least 1, not {threads}")
        return (*bodies,) * threads
    return tuple(bodies)


def _name(body: Callable[[], object]) -> str:
    return str(getattr(body, "__qualname__", None) or repr(body))


def run_once(
    bodies: Sequence[Callable[[], object]],
    round: int = 1,
    begin_thread: Callable[[int], Callable[[], object] | None] = lambda number: None,
) -> tuple[list[tuple[int, BaseException]], list[tuple[int, int, int]]]:
    """Run each body once in a thread of its own, lined up.

    :param round: the number under which a crash report shows these threads.
    :param begin_thread: called on each thread first, with its number; what it returns (if not None) is called last.
    :returns: the exceptions, each with the number of its body; and each body's (start, end, calls), in nanoseconds of
        the monotonic clock.
    """
    line = _core.StartLine(len(bodies), spin=interpreter.cpus())
    failures: list[tuple[int, BaseException]] = []

    def run(number: int, body: Callable[[], object]) -> None:
        _core.enter_thread(f"concurrently body {number}")
        try:
            end = begin_thread(number)
        except BaseException as failure:
            failures.append((number, failure))
            line.abort()
        else:
            attempt(number, lambda: line.run(number, round, body, 1))
            if end is not None:
                attempt(number, end)
        finally:
            _core.leave_thread()

    def attempt(number: int, step: Callable[[], object]) -> None:
        try:
            step()
        except _core.BrokenStartLine:
            pass
        except BaseException as failure:
            failures.append((number, failure))

    pool = [
        threading.Thread(target=run, args=(number, body), name=f"concurrently-{number}", daemon=True)
        for number, body in enumerate(bodies)
    ]
    try:
        for thread in pool:
            thread.start()
        for thread in pool:
            thread.join()
    except BaseException:
        line.abort()
        raise
    return sorted(failures, key=lambda pair: pair[0]), line.stamps()

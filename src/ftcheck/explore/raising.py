"""What a run raised, thread by thread, as plain values for the report."""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Iterator, Sequence

from ftcheck.explore.expressions import function_name
from ftcheck.explore.log import Kind, Operation
from ftcheck.narrative import Raised
from ftcheck.verdicts import Location, ThreadFailure, group_failures
from ftcheck.workload import BaseConcurrentFailures

_HOME = __file__.rpartition("explore")[0]


def raised_in(failure: BaseException | None, operations: Sequence[Operation], thread: int = 0) -> list[Raised]:
    """The exceptions of a run: those of each body of :func:`ftcheck.concurrently`, or what the test itself raised.

    :param failure: what the test raised, or a thread that it had started; **thread**: which one.
    """
    return [_plain(number, one) for number, one in _by_thread(failure, thread, operations)] if failure is not None else []


def _by_thread(failure: BaseException, thread: int, operations: Sequence[Operation]) -> Iterator[tuple[int, BaseException]]:
    if not isinstance(failure, BaseConcurrentFailures) or len(failure.bodies) != len(failure.exceptions):
        yield thread, failure
        return
    joined = [one.threads for one in operations if one.kind == Kind.JOIN and one.thread == thread]
    bodies = next((threads for threads in reversed(joined) if len(threads) > max(failure.bodies)), ())
    for body, exception in zip(failure.bodies, failure.exceptions, strict=True):
        yield from _by_thread(exception, bodies[body] if bodies else -1, operations)


def _plain(thread: int, exception: BaseException) -> Raised:
    group, _ = group_failures([ThreadFailure(thread, 1, "body", exception)])[0]
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(exception.__traceback__)]
    return Raised(
        thread,
        group.kind,
        group.message,
        tuple(
            Location(code.co_filename, line, function_name(code), linecache.getline(code.co_filename, line).strip())
            for code, line in frames
            if not code.co_filename.startswith(_HOME)
        ),
    )

"""Did the bodies of a round run at the same moment?

Threads that are released together need not overlap: the first of two bodies of 10 microseconds is long over when the
second thread wakes up. A round in which no two bodies overlapped has shown nothing about concurrency, so it is counted.
"""

from __future__ import annotations

from collections.abc import Iterable

Stamp = tuple[int, int, int]
"""(start, end, calls): nanoseconds of the monotonic clock, and how often the body was called."""


def overlapped(stamps: Iterable[Stamp]) -> bool:
    """Whether at least two bodies ran at the same moment. Bodies that were never called do not count."""
    last_end: int | None = None
    for start, end, calls in sorted(stamps):
        if calls == 0 or end <= start:
            continue
        if last_end is not None and start < last_end:
            return True
        last_end = end if last_end is None else max(last_end, end)
    return False


def calls_for(stamps: Iterable[Stamp], target: int, most: int = 20_000) -> int:
    """How many calls of a body fill about ``target`` nanoseconds, judged by these stamps; at least 1.

    A body far shorter than the time a thread needs to wake up is called several times per round, so that the work of
    the threads overlaps for longer than one unlucky interruption.
    """
    each = [(end - start) / calls for start, end, calls in stamps if calls]
    if not each:
        return 1
    return max(1, min(most, int(target / max(1.0, max(each)))))

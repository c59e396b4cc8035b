"""Who held which lock from when to when, out of the log of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ftcheck.explore.log import Kind, Operation


@dataclass(frozen=True, slots=True)
class Hold:
    """One thread had a lock.

    :param begin: the operation that took it; **end**: the one that gave it back, or None: nobody did.
    """

    lock: int
    thread: int
    begin: int
    end: int | None


class Holds:
    """All of a run. A lock that was taken before the log began has none."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._by_lock: dict[int, list[Hold]] = {}
        self._at: dict[int, Hold] = {}
        begun: dict[int, int] = {}
        for number, one in enumerate(operations):
            if one.kind == Kind.ACQUIRE or (one.kind == Kind.TRY and one.object not in begun):
                begun[one.object] = number
            elif one.kind == Kind.RELEASE and one.object in begun:
                self._add(operations, begun.pop(one.object), number)
        for begin in begun.values():
            self._add(operations, begin, None)

    def _add(self, operations: Sequence[Operation], begin: int, end: int | None) -> None:
        hold = Hold(operations[begin].object, operations[begin].thread, begin, end)
        self._by_lock.setdefault(hold.lock, []).append(hold)
        self._at[begin] = hold
        if end is not None:
            self._at[end] = hold

    def of(self, operation: int) -> Hold | None:
        """The one that this operation began or ended; None where it did neither."""
        return self._at.get(operation)

    def during(self, lock: int, operation: int) -> Hold | None:
        """Who held a lock just before an operation was executed."""
        for hold in self._by_lock.get(lock, ()):
            if hold.begin < operation and (hold.end is None or hold.end >= operation):
                return hold
        return None

    def left(self) -> list[Hold]:
        """Those that nobody ended, in the order in which they began."""
        return sorted(
            (hold for all in self._by_lock.values() for hold in all if hold.end is None), key=lambda one: one.begin
        )

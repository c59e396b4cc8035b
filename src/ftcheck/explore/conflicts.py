"""Which accesses of a run can be told by other threads: those without which the report would not explain anything.

Two accesses conflict if they are by different threads, to the same thing, and one writes. (Whether something orders them
does not matter here: a reader wants to see the order, whoever has made it.) Nobody else runs within a turn, so of all
accesses to one thing only the first reading, before the thread itself writes, and the last writing can be told from outside.

A call of code that is not in scope is one step, and counts as a write to the object it is made on, because it may be one.
Most are none (``logger.debug()``), and a real program makes hundreds of them. So these are *assumed*, and told only where no
other access explains the run, or where it is just there that a thread was stopped.
"""

from __future__ import annotations

import collections
from collections.abc import Collection, Iterator, Sequence

from ftcheck.explore.log import Kind, Operation

_WHOLE = 0
"""``FTC_WHOLE``: a key that meets all others."""

type _Users = dict[int, set[int]]
"""Key of an object to the threads that read, or wrote, it."""


class Conflicts:
    """Of a whole run.

    :param left_out: numbers of operations that are not to be looked at.
    :ivar shared: objects that a thread accesses in conflict with another one.
    """

    def __init__(self, operations: Sequence[Operation], left_out: Collection[int] = ()) -> None:
        self._operations, self._left_out = operations, left_out
        self._readers: dict[int, _Users] = collections.defaultdict(lambda: collections.defaultdict(set))
        self._writers: dict[int, _Users] = collections.defaultdict(lambda: collections.defaultdict(set))
        looked_at = [one for number, one in enumerate(operations) if number not in left_out]
        for one in looked_at:
            for object, key, writes in _touched(one):
                (self._writers if writes else self._readers)[object][key].add(one.thread)
        self.shared = {object for one in looked_at for object in self._contested(one)}

    def telling(self, begin: int, end: int) -> set[int]:
        """The accesses of one turn that matter: numbers of operations."""
        found = set()
        settled: set[tuple[int, int]] = set()
        last_written: dict[tuple[int, int], int] = {}
        for number in range(begin, end):
            one = self._operations[number]
            if number in self._left_out or not any(True for _ in self._contested(one)):
                continue
            if one.typed or (one.key == _WHOLE and one.kind == Kind.WRITE and one.also):
                found.add(number)  # each changes something else
            elif one.kind == Kind.WRITE:
                last_written[one.object, one.key] = number
            elif (one.object, one.key) not in settled:
                found.add(number)
            settled.add((one.object, one.key))
        return found | set(last_written.values())

    def _contested(self, one: Operation) -> Iterator[int]:
        for object, key, writes in _touched(one):
            if _others(self._writers[object], key, one.thread) or (
                writes and _others(self._readers[object], key, one.thread)
            ):
                yield object


def _touched(one: Operation) -> Iterator[tuple[int, int, bool]]:
    if one.kind in (Kind.READ, Kind.WRITE):
        if one.object:
            yield one.object, one.key, one.kind == Kind.WRITE
        if one.also:
            yield one.also, one.also_key, False


def _others(users: _Users, key: int, me: int) -> bool:
    keys = users if key == _WHOLE else (key, _WHOLE)
    return any(users[one] - {me} for one in keys if one in users)

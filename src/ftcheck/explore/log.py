"""The log of a run, row by row (``_core/trace.c``): who did what to what, in the order in which it was executed."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple


class Kind(enum.IntEnum):
    """``enum ftc_kind`` in ``_core/sched.h``."""

    NOTHING = 0
    """A lock that only the standard library takes, in ``Thread.start()``."""
    READ = 1
    WRITE = 2
    ACQUIRE = 3
    RELEASE = 4
    START = 5
    JOIN = 6
    BEGIN = 7
    END = 8
    SLEEP = 9
    PUT = 10
    GET = 11
    TRY = 12
    OUT = 13
    """Blocks outside of control; the value says where."""
    LOOK = 14
    """Asks whether a thread has ended."""
    CLOCK = 15
    """Looks at the clock (typed), or sets a time by it (not typed); 2: time passed, because nobody could run."""


LOCKING = frozenset({Kind.NOTHING, Kind.ACQUIRE, Kind.RELEASE, Kind.TRY})
QUEUEING = frozenset({Kind.PUT, Kind.GET})


class Operation(NamedTuple):
    """``ftc_op`` and ``ftc_event`` in ``_core/sched.h``.

    :param key: which part of the object; 0: all of it.
    :param also: something that is read besides. Of START, JOIN, END and LOOK: a set of threads, as bits.
    :param value: what was read, or what was to be written; None where it is not known.
    """

    thread: int
    step: int
    kind: int
    typed: int
    object: int
    key: int
    also: int
    also_key: int
    alike: int
    code: Any
    offset: int
    value: str | None = None

    @property
    def waited(self) -> bool:
        """Of TRY: for the lock, until its timeout came."""
        return self.kind == Kind.TRY and self.also_key == 1

    @property
    def threads(self) -> tuple[int, ...]:
        """Of START, JOIN, END and LOOK: which threads."""
        return tuple(number for number in range(self.also.bit_length()) if self.also >> number & 1)


def turns_of(operations: Sequence[Operation]) -> list[tuple[int, int]]:
    """Where one thread was running: (first, one behind the last) for each turn."""
    borders = [n for n in range(1, len(operations)) if operations[n].thread != operations[n - 1].thread]
    edges = [0, *borders, len(operations)]
    return [(begin, end) for begin, end in itertools.pairwise(edges) if begin < end]

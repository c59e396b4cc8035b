"""Candidates for races: pairs of accesses to one variable that nothing orders, and what became of reversing them.

A single access to an attribute or an item is atomic in Python, so such a pair is no bug by itself; it is where one can be.
An engine lists them (:mod:`ftcheck.explore.hunt`), the report shows them. Plain, frozen values, as all on the ground floor.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from ftcheck.locations import Location


class Mark(enum.Enum):
    """What is known of a pair; the most interesting first."""

    CONFIRMED = "confirmed"
    """In a failing run, reversing this pair, and nothing else that need not be, made the test pass."""
    NOT_EXPLORED = "not explored"
    """Only one order was seen, or only one in runs that came to their end."""
    NOT_MENDED = "both orders explored, reversing it did not mend the check"
    """One of the orders, or both, only came up in runs that failed; it is not this pair alone that decides."""
    HELD = "both orders explored, the check held"


@dataclass(frozen=True, slots=True)
class Access:
    """One side of a pair: a line of code.

    :param name: what it accesses, as the code there calls it: ``self.value``, ``CACHE['x']``.
    :param reads: it reads; **writes**: it writes. ``self.value += 1`` does both.
    """

    name: str
    reads: bool
    writes: bool
    location: Location

    @property
    def does(self) -> str:
        """``reads``, ``writes``, or both."""
        return " and ".join(["reads"] * self.reads + ["writes"] * self.writes)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Two accesses by different threads, one of them a write, that happens-before left unordered in some run.

    :param first: of the two, the one that stands first in the source.
    :param note: what else there is to know: why the other order was not seen.
    """

    first: Access
    second: Access
    mark: Mark
    note: str = ""

    @property
    def name(self) -> str:
        """What is accessed, by the name or the names that the code has for it."""
        return self.first.name if self.first.name == self.second.name else f"{self.first.name}, {self.second.name}"


@dataclass(frozen=True, slots=True)
class Candidates:
    """All pairs of one test.

    :param pairs: those to look at first come first.
    :param schedules: runs whose accesses were looked at, those after the first failure included.
    :param reversing: of these, the runs that were made to reverse a pair.
    :param limit: what ended the looking: ``"complete"`` (all inequivalent interleavings were run), ``"schedules"`` or
        ``"seconds"``; ``"points"``: accesses cannot be seen where threads are stopped at lines only.
    :param untried: times that a pair was to be reversed in a failing run, and the budget for that was spent.
    """

    pairs: tuple[Candidate, ...] = ()
    schedules: int = 0
    reversing: int = 0
    limit: str = "schedules"
    untried: int = 0

    @property
    def looked(self) -> bool:
        """Whether accesses were seen at all."""
        return self.limit != "points"

    def count(self, mark: Mark) -> int:
        """How many pairs have this mark."""
        return sum(pair.mark is mark for pair in self.pairs)


def candidates_from_plain(data: dict[str, Any] | None) -> Candidates | None:
    """The inverse of :func:`ftcheck.verdicts.to_plain` for :class:`Candidates` or ``None``."""
    if data is None:
        return None
    pairs = (
        Candidate(_access(one["first"]), _access(one["second"]), Mark(one["mark"]), one["note"]) for one in data["pairs"]
    )
    return Candidates(**{**data, "pairs": tuple(pairs)})


def _access(data: dict[str, Any]) -> Access:
    return Access(**{**data, "location": Location(**data["location"])})

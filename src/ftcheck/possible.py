"""Possible data races: accesses in an extension that are ordered by nothing that is known to order.

The interpreter orders threads by what is not seen from the outside, so such a pair can be harmless: it fails no test. An
engine lists them (:mod:`ftcheck.native.strict`), the report shows them. Plain, frozen values, as all on the ground floor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ftcheck.locations import Location


@dataclass(frozen=True, slots=True)
class PossibleRace:
    """Two accesses to one place in memory by two threads, one of them a write.

    :param headline: one line: what, and where.
    :param later: the line of the one at which it was noticed; **earlier**: that of the other one.
    :param times: how often these two met like this.
    :param text: both with their stacks and locks, for a person.
    """

    headline: str
    later: Location
    earlier: Location
    times: int
    text: str


@dataclass(frozen=True, slots=True)
class PossibleRaces:
    """All of one test.

    :param pairs: in the order in which they were found.
    :param dropped: how often there was no room for one.
    """

    pairs: tuple[PossibleRace, ...]
    dropped: int


def possible_from_plain(data: dict[str, Any] | None) -> PossibleRaces | None:
    """The inverse of :func:`ftcheck.verdicts.to_plain` for :class:`PossibleRaces` or ``None``."""
    if data is None:
        return None
    sides = [{"later": Location(**one["later"]), "earlier": Location(**one["earlier"])} for one in data["pairs"]]
    pairs = (PossibleRace(**{**one, **both}) for one, both in zip(data["pairs"], sides, strict=True))
    return PossibleRaces(tuple(pairs), data["dropped"])

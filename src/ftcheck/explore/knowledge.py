"""What earlier runs have taught: how long a run is, who does what how often, and where accesses conflict.

A preemption matters only where two threads touch the same thing and one of them writes, with nothing that orders the two.
Such places are found by happens-before over the log of operations (``_core/before.c``), which also marks them, so that runs
may decide there first. The strategies draw from the counts, which ``_core/study.c`` adds up.
"""

from __future__ import annotations

import collections
import itertools
from types import CodeType

from ftcheck import _core

_STUDIED = 8
"""So many runs in which nothing new conflicts, and the logs are no longer read at each run."""


type Meeting = tuple[CodeType | None, int, CodeType | None, int]
"""Two places in the code, as code object and offset: the second is to come before the first. None: in an extension."""
_MOST_MEETINGS = 200


class Knowledge:
    """Grows with each run whose log is read.

    :ivar decisions: the most decisions that a run had.
    :ivar steps: the most scheduling points that a run had.
    :ivar meetings: pairs of places at which threads have met, in the order in which they came up. 0: in the direction that
        was not seen; 1: in the one that was; 2: twice the same place.
    :ivar conflicts: pairs of places in the code whose accesses nothing ordered, as (code, offset) pairs.
    """

    def __init__(self) -> None:
        self.decisions = self.steps = 1
        self.threads = 1
        self.conflicts: set[frozenset[tuple[object, int]]] = set()
        self.meetings: dict[Meeting, int] = {}
        self._counts: dict[int, collections.Counter[int]] = {}
        self._all: collections.Counter[int] = collections.Counter()
        self._contested: set[int] = set()
        self._unchanged = 0
        self._ranked: list[int] | None = None  # asked for at each run, but they change with a study only
        self._events: dict[int, list[int]] = {}

    @property
    def settled(self) -> bool:
        """Whether another log would hardly teach anything."""
        return self._unchanged >= _STUDIED

    @property
    def places(self) -> list[int]:
        """Places (kinds of objects and names; ``ftc_op.place``) at which threads meet, the busiest first.

        Then in the order in which they came up, and not by their numbers: these are other ones in each process, and one seed
        is to give the same schedules in all.
        """
        if self._ranked is None:
            came = {place: number for number, place in enumerate(self._counts)}
            self._ranked = sorted(self._contested, key=lambda place: (-sum(self._counts[place].values()), came[place]))
        return self._ranked

    def events(self, place: int) -> list[int]:
        """How many operations each thread has done at this place, at most; place 0: everywhere."""
        if place not in self._events:
            counts = self._counts[place] if place else self._all
            self._events[place] = [counts[thread] for thread in range(self.threads)]
        return self._events[place]

    def note(self, decisions: int, steps: int, threads: int) -> None:
        """The totals of a run."""
        self.decisions = max(self.decisions, decisions)
        self.steps = max(self.steps, steps)
        if threads > self.threads:
            self.threads = threads
            self._events.clear()

    def study(self) -> None:
        """Read the log of the last run, which has noted its operations."""
        self._ranked = None
        self._events.clear()
        counts, taking, unordered = _core.study()
        before = len(self._contested), len(self.conflicts), len(self.meetings)
        total: collections.Counter[int] = collections.Counter()
        for place, thread, times in counts:
            known = self._counts.get(place)
            if known is None:
                known = self._counts[place] = collections.Counter()
            known[thread] = max(known[thread], times)
            total[thread] += times
        self._all |= total
        users: dict[int, list[tuple[int, CodeType | None, int]]] = {}
        for object, thread, code, offset, place in taking:
            at = users.setdefault(object, [])
            if any(other != thread for other, _, _ in at):
                self._contested.add(place)
            at.append((thread, code, offset))
        for place, code, offset, other_place, other, other_offset in unordered:
            self.conflicts.add(frozenset({(code, offset), (other, other_offset)}))
            self._contested |= {place, other_place}
            self._meet(code, offset, other, other_offset)
        for at in users.values():
            for one_of, two_of in itertools.combinations(at[:16], 2):
                if one_of[0] != two_of[0]:
                    self._meet(*one_of[1:], *two_of[1:])
        after = len(self._contested), len(self.conflicts), len(self.meetings)
        self._unchanged = self._unchanged + 1 if before == after else 0

    def _meet(self, code: CodeType | None, offset: int, other: CodeType | None, other_offset: int) -> None:
        known = all(one is not None or at < -1 for one, at in ((code, offset), (other, other_offset)))  # or in an extension
        if known and len(self.meetings) < _MOST_MEETINGS:
            same = (code, offset) == (other, other_offset)
            self.meetings.setdefault((code, offset, other, other_offset), 2 if same else 0)
            self.meetings.setdefault((other, other_offset, code, offset), 1)

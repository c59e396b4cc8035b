"""Race-directed: two places at which threads meet, in the order that was not seen yet (``_core/race.c``; Sen, PLDI 2008).

What the samplers find by chance where many threads do the same, this brings about on purpose: as many runs as there are
pairs of places and directions, those first whose order was not seen yet, and then again, with other threads.
"""

from __future__ import annotations

import random

from ftcheck.explore.control import Attempt, Run
from ftcheck.explore.knowledge import Knowledge, Meeting


class Directed:
    """Race-directed testing."""

    name = "race-directed"

    def __init__(self) -> None:
        self._tried: dict[Meeting, int] = {}

    def next(self, knowledge: Knowledge, dice: random.Random) -> Attempt | None:
        """None: threads were not seen to meet yet."""
        if not knowledge.meetings:
            return None
        latest_first = reversed(knowledge.meetings)
        one = min(latest_first, key=lambda meeting: (self._tried.get(meeting, 0), knowledge.meetings[meeting]))
        self._tried[one] = self._tried.get(one, 0) + 1
        return Attempt("race", one, dice.getrandbits(64), True, self.name)

    def learn(self, run: Run) -> None:
        """It has no memory."""

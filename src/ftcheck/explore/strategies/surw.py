"""SURW: the order of the operations on one thing is drawn uniformly (``_core/surw.c``; Zhao and others, ASPLOS 2025).

Wins where one rare event has to fall between many others. Which thing: one at which threads were seen to meet, drawn in
proportion to how often it is touched.
"""

from __future__ import annotations

import random

from ftcheck.explore.control import Attempt, Run
from ftcheck.explore.knowledge import Knowledge


class Surw:
    """Selectively uniform random walk."""

    name = "SURW"

    def __init__(self, *, only_hot: bool = True) -> None:
        self._only_hot = only_hot

    def next(self, knowledge: Knowledge, dice: random.Random) -> Attempt | None:
        places = knowledge.places
        place = dice.choices(places, [sum(knowledge.events(place)) for place in places])[0] if places else 0
        return Attempt("surw", (place, knowledge.events(place)), dice.getrandbits(64), self._only_hot, self.name)

    def learn(self, run: Run) -> None:
        """It has no memory."""

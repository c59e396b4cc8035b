"""SURW: the order of the operations on one thing is drawn uniformly (``_core/surw.c``; Zhao and others, ASPLOS 2025).

Wins where one rare event has to fall between many others. Which thing: one at which threads were seen to meet, drawn in
proportion to how often it is touched.

Deviation: an order that was drawn before is drawn again only when none is left, as far as that can be told. Where there
are few, that saves a third of the runs.
"""

from __future__ import annotations

import random

from ftcheck import _core
from ftcheck.explore.control import Attempt, Run
from ftcheck.explore.knowledge import Knowledge

_DRAWS = 20
"""So often all orders that come up were tried before, and it is assumed that none is left."""
_LONGEST = 2_000
"""Operations that are ordered; the rest of a longer run goes by weights."""


class Surw:
    """Selectively uniform random walk."""

    name = "SURW"

    def __init__(self, *, only_hot: bool = True) -> None:
        self._only_hot = only_hot
        self._tried: dict[int, set[bytes]] = {}

    def next(self, knowledge: Knowledge, dice: random.Random) -> Attempt | None:
        places = knowledge.places
        place = dice.choices(places, [sum(knowledge.events(place)) for place in places])[0] if places else 0
        events = knowledge.events(place)
        order = self._new_order(place, events, dice)
        return Attempt("surw", (place, events, order), dice.getrandbits(64), self._only_hot, self.name)

    def _new_order(self, place: int, events: list[int], dice: random.Random) -> bytes:
        letters = b"".join(bytes([thread]) * count for thread, count in enumerate(events))[:_LONGEST]
        tried = self._tried.setdefault(place, set())
        for _ in range(_DRAWS):
            order = _core.shuffled(letters, dice.getrandbits(64))
            if order not in tried:
                tried.add(order)
                return order
        tried.clear()
        return order

    def learn(self, run: Run) -> None:
        """What it has tried it knows before the run."""

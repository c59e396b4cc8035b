"""POS: a random priority for each pending operation (``_core/pos.c``; Yuan, Yang, Gu, CAV 2018).

Needs neither a length nor a depth, and is the best of the samplers where the order of few lock acquisitions matters; it
finds nothing where one operation has to come before many that each have to win against it.
"""

from __future__ import annotations

import random

from ftcheck.explore.control import Attempt, Run
from ftcheck.explore.knowledge import Knowledge


class Pos:
    """Partial order aware sampling."""

    name = "POS"

    def __init__(self, *, only_hot: bool = True) -> None:
        self._only_hot = only_hot

    def next(self, knowledge: Knowledge, dice: random.Random) -> Attempt | None:
        return Attempt("pos", None, dice.getrandbits(64), self._only_hot, self.name)

    def learn(self, run: Run) -> None:
        """It has no memory."""

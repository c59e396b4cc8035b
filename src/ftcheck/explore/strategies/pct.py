"""PCT: random priorities with a few change points (``_core/pct.c``; Burckhardt and others, ASPLOS 2010).

Of all strategies the one with a guarantee: each run finds a bug of depth d with a probability of at least 1/(n k^(d-1)),
with n threads and k decisions.
"""

from __future__ import annotations

import random

from ftcheck.explore.control import Attempt, Run
from ftcheck.explore.knowledge import Knowledge


class Pct:
    """PCT with random depths.

    :param depths: the bug depths aimed at, one of which is drawn for each run: one more than the change points.
    """

    name = "PCT"

    def __init__(self, depths: tuple[int, ...] = (2, 3), *, only_hot: bool = True) -> None:
        self._depths, self._only_hot = depths, only_hot

    def next(self, knowledge: Knowledge, dice: random.Random) -> Attempt | None:
        return Attempt(
            "pct", (dice.choice(self._depths), knowledge.decisions), dice.getrandbits(64), self._only_hot, self.name
        )

    def learn(self, run: Run) -> None:
        """It has no memory."""


def probability_of_missing(depth: int, threads: int, decisions: int, runs: int) -> float:
    """The guarantee, for so many runs: at most so probable is it that none of them shows a bug of that depth."""
    return (1 - 1 / (threads * float(max(decisions, 1)) ** (depth - 1))) ** runs

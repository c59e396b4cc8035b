"""Random walk: at each decision anyone who can run goes on (``_core/walk.c``).

Found as often as anything on bugs with wide windows; hopeless where one thread has to get far ahead of many others
(Thomson, Donaldson, Betts: Concurrency testing using schedule bounding, PPoPP 2014). The second half of its attempts decides
rarely, which lets threads get ahead.
"""

from __future__ import annotations

import random

from ftcheck.explore.control import Attempt, Run
from ftcheck.explore.knowledge import Knowledge


class Walk:
    """The random walk.

    :param only_hot: decide only at blocking calls and where accesses were seen to conflict.
    """

    name = "random walk"

    def __init__(self, *, only_hot: bool = True) -> None:
        self._only_hot = only_hot
        self._attempts = 0

    def next(self, knowledge: Knowledge, dice: random.Random) -> Attempt | None:
        self._attempts += 1
        probability = 1.0 if self._attempts % 2 else dice.choice((0.05, 0.1, 0.2, 0.4))
        return Attempt("walk", probability, dice.getrandbits(64), self._only_hot, self.name)

    def learn(self, run: Run) -> None:
        """It has no memory."""

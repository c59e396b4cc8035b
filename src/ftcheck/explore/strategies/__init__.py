"""Strategies: which schedule comes next. One file each; what decides during a run is the C file of the same name.

A strategy gives one :class:`~ftcheck.explore.control.Attempt` after the other and hears what came of each. One that ends
by itself has nothing left to try: within its bound, the search was complete.
"""

from __future__ import annotations

import random
from typing import Protocol

from ftcheck.explore.control import Attempt, Run
from ftcheck.explore.knowledge import Knowledge


class Strategy(Protocol):
    """Chooses schedules."""

    name: str

    def next(self, knowledge: Knowledge, dice: random.Random) -> Attempt | None:
        """The next attempt; None: nothing is left."""

    def learn(self, run: Run) -> None:
        """What came of the last attempt of this strategy."""

"""The default: several strategies in turn, because each is blind to something.

The run without preemptions comes first: it is what the test does by itself, and teaches how long a run is; it is the first
run of the systematic search, too, which ends small tests with certainty. Measured on the SCTBench programs, SURW and the
race-directed runs need the fewest schedules for most bugs, so they have most of the early turns; what they are slow at (the
order of a few operations on several things) the systematic search finds in its first runs. After that all take turns. PCT,
which finds less, has a share because it alone can say what was missed at most. Samplers decide at blocking calls and where
accesses were seen to conflict; some of their runs decide everywhere, for conflicts that no run has shown yet.
"""

from __future__ import annotations

import random

from ftcheck.explore.control import Attempt, Run
from ftcheck.explore.knowledge import Knowledge
from ftcheck.explore.strategies import Strategy
from ftcheck.explore.strategies.bounded import Bounded
from ftcheck.explore.strategies.directed import Directed
from ftcheck.explore.strategies.pct import Pct
from ftcheck.explore.strategies.pos import Pos
from ftcheck.explore.strategies.surw import Surw
from ftcheck.explore.strategies.systematic import Diverged, Dpor, Endless
from ftcheck.explore.strategies.walk import Walk

_OPENING = "D SS S R S SS R D S D R D S P SS R S D SSSS C".replace(" ", "")
_THEN = "SCDSRBPDSCESBRDSCPDCBRW"
_FAR = "RCC"
"""Turns, by letter: D systematic, B preemption bounding, S SURW, R race-directed, P POS, C PCT, W random walk; E: one of the
samplers deciding everywhere."""


class Portfolio:
    """Takes turns.

    The systematic searches end at the first run in which threads block outside of control, or access memory of an extension:
    of what that does within the interpreter not all is seen.

    :param systematic: whether the systematic search is among them; **bounded**: and that with a bound on preemptions.
    :ivar dpor: that search; None: it was not wanted, or had to be given up.
    :ivar bounded: the one with a bound on preemptions; likewise.
    :ivar diverged: it was given up because the code under test is not deterministic: where that was seen; empty: it was not.
    """

    name = "portfolio"

    def __init__(self, *, systematic: bool = True, bounded: bool = True) -> None:
        self.dpor = Dpor() if systematic else None
        self.bounded = Bounded() if systematic and bounded else None
        self.diverged = ""
        self._one: dict[str, Strategy] = {"S": Surw(), "P": Pos(), "C": Pct(), "W": Walk(), "R": Directed()}
        self._everywhere: list[Strategy] = [
            Pos(only_hot=False),
            Surw(only_hot=False),
            Pct((3,), only_hot=False),
            Walk(only_hot=False),
        ]
        self._turn = -1
        self._limit: int | None = None
        self._last: Strategy | None = None

    def next(self, knowledge: Knowledge, dice: random.Random) -> Attempt | None:
        self._turn += 1
        beyond = self._turn - len(_OPENING)
        letter = _OPENING[self._turn] if beyond < 0 else _THEN[beyond % len(_THEN)]
        letter = _FAR[self._turn % len(_FAR)] if self.far else letter
        if self._turn == 0 and self.dpor is None:
            self._last = None
            return Attempt("plan", [], strategy="no preemptions")
        if letter == "D":
            if self.dpor is None or self.dpor.complete:
                return self.next(knowledge, dice)
            self._last = self.dpor
        elif letter == "B":
            attempt = None if self.bounded is None else self.bounded.next(knowledge, dice)
            self._last = self.bounded
            return attempt or self.next(knowledge, dice)
        elif letter == "R" and not knowledge.meetings:
            return self.next(knowledge, dice)
        elif letter == "E":
            self._last = self._everywhere[beyond // len(_THEN) % len(self._everywhere)]
        else:
            self._last = self._one[letter]
        attempt = self._last.next(knowledge, dice)
        return attempt if attempt is None or not self.far else attempt._replace(limit=self._limit)

    @property
    def far(self) -> bool:
        """Runs are long: only those are made that switch seldom, since a switch takes as long as a hundred points."""
        return self._limit is not None

    def go_far(self, limit: int) -> None:
        """:param limit: of each run's scheduling points, from now on."""
        self._limit = limit
        self._give_up()

    def learn(self, run: Run) -> None:
        if run.uncontrolled or run.in_extensions:
            self._give_up()
        try:
            if self._last is not None:
                self._last.learn(run)
        except Diverged as parted:
            self._give_up(str(parted))
        except Endless:
            if self._last is self.bounded:
                self.bounded = None
            else:
                self.dpor = None

    def _give_up(self, diverged: str = "") -> None:
        """The systematic searches."""
        self.dpor, self.bounded, self.diverged = None, None, self.diverged or diverged

    def is_confirmed(self) -> bool:
        """The systematic search has come to its end, and its first run once more has done what it did at first."""
        try:
            if self.dpor is not None:
                self.dpor.check()
        except Diverged as parted:
            self._give_up(str(parted))
        return self.dpor is not None

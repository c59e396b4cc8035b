"""Iterative preemption bounding: all schedules without a preemption, then all with one, then two (``_core/tree.c``).

Musuvathi, Qadeer: *Iterative context bounding for systematic testing of multithreaded programs*, PLDI 2007. Most bugs need
one preemption or two, and there are few schedules with so few; so where there are too many interleavings to run them all,
this one still comes to an end, and says of what.

Threads are preempted only where accesses were seen to conflict, and at calls that block or let others go on. That loses
nothing: what a thread does up to the next such place meets nothing that others do meanwhile, so to stop it there instead
leads to the same, with no more preemptions. As soon as any run shows another conflict, the search begins again.

Deviation: each bound is gone through from the start again, instead of keeping what was put off.
"""

from __future__ import annotations

import random

from ftcheck import _core
from ftcheck.explore.control import Attempt, Run
from ftcheck.explore.knowledge import Knowledge
from ftcheck.explore.strategies.systematic import next_of_tree

_NONE = -1


class Bounded:
    """Preemption bounding. Its tree lives in the core, beside that of :class:`~ftcheck.explore.strategies.systematic.Dpor`.

    The log of each of its runs has to be studied.

    :ivar exhausted: another preemption makes no difference: all schedules were run.
    """

    name = "preemption bounding"

    def __init__(self) -> None:
        self.exhausted = False
        self._bound = self._within = _NONE
        self._conflicts = _NONE

    def within(self, knowledge: Knowledge) -> int:
        """All schedules with at most so many preemptions were run; -1: not even those with none."""
        return self._within if len(knowledge.conflicts) == self._conflicts else _NONE

    def next(self, knowledge: Knowledge, dice: random.Random) -> Attempt | None:
        """None: it is exhausted."""
        if len(knowledge.conflicts) != self._conflicts:
            self._conflicts, self._within, self.exhausted = len(knowledge.conflicts), _NONE, False
            self._begin(0)
        return None if self.exhausted else Attempt("bounded", only_hot=True, strategy=self.name)

    def _begin(self, bound: int) -> None:
        self._bound = bound
        _core.tree_reset(bound, False)

    def learn(self, run: Run) -> None:
        """Take the run in.

        :raises Diverged: it did not follow the decisions it was to repeat; its text says where.
        :raises Endless: it did not come to its end, or was not controlled throughout.
        """
        if next_of_tree(run):
            return
        self._within = self._bound
        self.exhausted = not _core.tree_refused()
        if not self.exhausted:
            self._begin(self._bound + 1)

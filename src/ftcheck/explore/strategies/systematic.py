"""Systematic search: every interleaving once, up to equivalence (``_core/tree.c``, ``_core/dpor.c``).

It ends when all inequivalent interleavings were run. In the same C file is the search with a bound on preemptions; that is
the strategy :mod:`ftcheck.explore.strategies.bounded` and makes schedules small (:mod:`ftcheck.explore.minimise`).
"""

from __future__ import annotations

import random

from ftcheck import _core
from ftcheck.explore.control import Attempt, Ending, Run
from ftcheck.explore.differences import Step, last_steps, parting
from ftcheck.explore.knowledge import Knowledge


class Diverged(Exception):
    """A run went another way than the same decisions led before: the code under test is not deterministic."""


class Endless(Exception):
    """A run was given up at a limit, or a thread blocked outside of control: its decisions alone do not lead there again."""


def next_of_tree(run: Run) -> bool:
    """Take in the last run of a search tree; whether there is another one to do.

    :raises Diverged: it did not follow the decisions it was to repeat; its text says where.
    :raises Endless: it did not come to its end, or was not controlled throughout.
    """
    if run.ending in (Ending.TOO_LONG, Ending.TOO_MANY_THREADS) or run.uncontrolled:
        raise Endless
    more = _core.tree_advance()
    if more is None:
        found = _core.tree_divergence()
        raise Diverged("" if found is None else parting(found[:1], found[1:]))
    return more


class Dpor:
    """Source-DPOR with sleep sets. Its tree lives in the core, where there is one at a time.

    :ivar interleavings: runs that were not equivalent to an earlier one.
    :ivar complete: everything was run.
    """

    name = "DPOR"

    def __init__(self) -> None:
        self.interleavings = 0
        self.complete = False
        self._begun = False
        self._first: list[Step] = []

    def next(self, knowledge: Knowledge, dice: random.Random) -> Attempt | None:
        if not self._begun:
            _core.tree_reset(-1, True)
            self._begun = True
        return None if self.complete else Attempt("dpor", strategy=self.name)

    def once_more(self) -> Attempt:
        """The first run of all again. The search is over then."""
        _core.tree_reset(-1, True)
        return Attempt("dpor", strategy=self.name)

    def check(self) -> None:
        """The last run, which was to be the first one again.

        :raises Diverged: it was not.
        """
        if where := parting(self._first, last_steps()):
            raise Diverged(where)

    def learn(self, run: Run) -> None:
        """Take the run in.

        :raises Diverged: it did not follow the decisions it was to repeat; its text says where.
        :raises Endless: it did not come to its end, or was not controlled throughout.
        """
        more = next_of_tree(run)
        self._first = self._first or last_steps()
        self.interleavings += run.ending is not Ending.REDUNDANT
        self.complete = not more

"""Systematic search: every interleaving once, up to equivalence (``_core/tree.c``, ``_core/dpor.c``).

It ends when all inequivalent interleavings were run. The search with a bound on preemptions, which is in the same C file,
makes schedules small (:mod:`ftcheck.explore.minimise`).
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


def _where() -> str:
    found = _core.tree_divergence()
    return "" if found is None else parting(found[:1], found[1:])


class Dpor:
    """Source-DPOR with sleep sets. There is one search tree at a time: it lives in the core.

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
        return None if self.complete else Attempt("tree", strategy=self.name)

    def once_more(self) -> Attempt:
        """The first run of all again. The search is over then."""
        _core.tree_reset(-1, True)
        return Attempt("tree", strategy=self.name)

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
        if run.ending in (Ending.TOO_LONG, Ending.TOO_MANY_THREADS) or run.uncontrolled:
            raise Endless
        self._first = self._first or last_steps()
        self.interleavings += run.ending is not Ending.REDUNDANT
        more = _core.tree_advance()
        if more is None:
            raise Diverged(_where())
        self.complete = not more

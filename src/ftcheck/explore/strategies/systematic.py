"""Systematic search: every interleaving once (``_core/tree.c``), up to equivalence (``_core/dpor.c``) or up to a bound.

:class:`Dpor` ends when all inequivalent interleavings were run; :class:`Bounded` runs all with no preemption, then all with
one, and so on, so the first failure it finds has the fewest preemptions that there can be.
"""

from __future__ import annotations

import random

from ftcheck import _core
from ftcheck.explore.control import Attempt, Ending, Run
from ftcheck.explore.knowledge import Knowledge


class Diverged(Exception):
    """A run went another way than the same decisions led before: the code under test is not deterministic."""


class Endless(Exception):
    """A run was given up at a limit: what comes after it is not known, and cannot be searched systematically."""


class _Tree:
    """One search tree at a time: it lives in the core.

    :ivar interleavings: runs that were not equivalent to an earlier one.
    :ivar complete: everything was run.
    """

    name = ""

    def __init__(self, bound: int, *, reduce: bool) -> None:
        self.bound, self._reduce = bound, reduce
        self.interleavings = 0
        self.complete = False
        self._begun = False

    def next(self, knowledge: Knowledge, dice: random.Random) -> Attempt | None:
        if not self._begun:
            _core.tree_reset(self.bound, self._reduce)
            self._begun = True
        return None if self.complete else Attempt("tree", strategy=self.name)

    def learn(self, run: Run) -> None:
        """Take the run in.

        :raises Diverged: it did not follow the decisions it was to repeat.
        :raises Endless: it did not come to its end.
        """
        if run.ending in (Ending.TOO_LONG, Ending.TOO_MANY_THREADS):
            raise Endless
        self.interleavings += run.ending is not Ending.REDUNDANT
        more = _core.tree_advance()
        if more is None:
            raise Diverged
        self.complete = not more


class Dpor(_Tree):
    """Source-DPOR with sleep sets."""

    name = "DPOR"

    def __init__(self) -> None:
        super().__init__(-1, reduce=True)


class Bounded(_Tree):
    """Iterative context bounding: with no preemptions first.

    :param most: the largest bound.
    """

    name = "preemption bounding"

    def __init__(self, most: int = 2) -> None:
        super().__init__(0, reduce=False)
        self._most = most

    def learn(self, run: Run) -> None:
        super().learn(run)
        if self.complete and self.bound < self._most:
            self.bound += 1
            self.complete = self._begun = False

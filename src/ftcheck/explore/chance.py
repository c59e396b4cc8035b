"""The global random number generators, held still: each run begins with the same state of them.

Otherwise a run depends on how many came before it, and no schedule leads the same way twice; a token less than ever. What
Hypothesis does for each example (seed 0) is done for each run: for :mod:`random`, and for NumPy's generator where it is
loaded. A test that seeds them itself keeps its own seed. Afterwards they are as they were before.
"""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def held_still() -> Iterator[Callable[[], None]]:
    """While this is entered: gives what is to be called before each run."""
    state, theirs = random.getstate(), _numpy()
    before = None if theirs is None else theirs.get_state()
    random.seed(0)
    seeded = random.getstate()

    def again() -> None:
        random.setstate(seeded)  # half of what seeding costs
        if (now := _numpy()) is not None:
            now.seed(0)

    try:
        yield again
    finally:
        random.setstate(state)
        if theirs is not None:
            theirs.set_state(before)


def _numpy() -> Any:
    return sys.modules.get("numpy.random")

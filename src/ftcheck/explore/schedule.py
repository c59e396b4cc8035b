"""A schedule: the decisions that make one interleaving, as a short list and as text.

Only what differs from the run without preemptions is in it: there, a thread goes on as long as it can, and then the
lowest-numbered one that can run follows. A decision is named by the thread that makes it and that thread's own count of
scheduling points, so that leaving one out does not move the others.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass


class Why(enum.IntEnum):
    """Why somebody else was to be chosen; ``enum ftc_why`` in ``_core/sched.h``."""

    PREEMPTED = 0
    """The thread could have gone on."""
    BLOCKED = 1
    ENDED = 2
    YIELDED = 3
    """It gave way (``time.sleep(0)``), or had run for long while others waited."""


_LETTERS = "pbey"


@dataclass(frozen=True, slots=True, order=True)
class Choice:
    """One decision.

    :param thread: the number of the thread that decides: 0 is the test's own, then in the order in which they start.
    :param step: its own count of scheduling points.
    :param to: the thread that goes on.
    """

    thread: int
    step: int
    why: Why
    to: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """The decisions of one run, in the order in which they were made."""

    choices: tuple[Choice, ...] = ()

    @classmethod
    def from_core(cls, rows: Sequence[tuple[int, int, int, int]]) -> Schedule:
        """From what :func:`ftcheck._core.trace` gives."""
        return cls(tuple(Choice(thread, step, Why(why), to) for thread, step, why, to in rows))

    def to_core(self) -> list[tuple[int, int, int, int]]:
        """As the policy ``plan`` takes it."""
        return [(one.thread, one.step, int(one.why), one.to) for one in self.choices]

    @property
    def preemptions(self) -> int:
        """How many of the decisions stop a thread that could have gone on."""
        return sum(one.why is Why.PREEMPTED for one in self.choices)

    def without(self, number: int) -> Schedule:
        """With one decision left out."""
        return Schedule(self.choices[:number] + self.choices[number + 1 :])

    def __str__(self) -> str:
        """``1p12-2.2b5-0``: thread 1 is preempted at its step 12 by thread 2, which blocks at its step 5, and 0 follows."""
        return ".".join(f"{one.thread}{_LETTERS[one.why]}{one.step}-{one.to}" for one in self.choices)

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """The opposite of ``str()``.

        :raises ValueError: it is no schedule.
        """
        choices = []
        for part in text.split(".") if text else ():
            found = _CHOICE.fullmatch(part)
            if found is None:
                raise ValueError(f"not a schedule: {part!r} is no decision such as 1p12-2")
            thread, letter, step, to = found.groups()
            if int(thread) >= 64 or int(to) >= 64 or len(step) > 15:
                raise ValueError(f"not a schedule: {part!r} names a thread or a step that there cannot be")
            choices.append(Choice(int(thread), int(step), Why(_LETTERS.index(letter)), int(to)))
        return cls(tuple(choices))


_CHOICE = re.compile(r"(\d{1,3})([pbey])(\d+)-(\d{1,3})", re.ASCII)

"""Which lines of one turn are shown in the short view, and which are only counted.

Shown are the lines that matter. Up to two lines between them stand there as well, without their accesses, because that is no
longer than saying that they were left out. A loop that does the same again and again is shown once. Of what is still too
long the middle is left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ftcheck.narrative import Did, Step

_FEW = 2
"""So many lines that do not matter are shown rather than counted."""
_MOST_LINES = 16
"""Of one turn, in the short view; then its middle is counted."""
_OFTEN, _LONGEST_PERIOD = 4, 3
"""A loop is counted from so many repetitions on, if it has at most so many lines that matter."""


@dataclass(frozen=True, slots=True)
class Group:
    """Consecutive steps on one line."""

    place: int
    steps: tuple[Step, ...]

    @property
    def telling(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.matters)

    @property
    def only_leaves(self) -> bool:
        """The end of a ``with`` block, which is not at the line that it is said to be."""
        return all(step.did is Did.RELEASE for step in self.steps)


@dataclass(frozen=True, slots=True)
class Hidden:
    """Lines that are counted.

    :param times: so often comes again what stands above; in **again** lines.
    """

    lines: int
    times: int = 0
    again: int = 0

    @property
    def text(self) -> str:
        more = f"{self.lines} more {'line' if self.lines == 1 else 'lines'}" if self.lines else ""
        return ", and ".join(filter(None, [more, f"the same again, {self.times} times" if self.times else ""]))


type Part = Group | Hidden


def _lines_of(part: Part) -> int:
    return part.lines + part.again if isinstance(part, Hidden) else 1


def _without_the_middle(parts: Sequence[Part]) -> Iterator[Part]:
    groups = [n for n, part in enumerate(parts) if isinstance(part, Group)]
    if len(groups) <= _MOST_LINES:
        yield from parts
        return
    begin, end = groups[_MOST_LINES // 2 - 1] + 1, groups[-_MOST_LINES // 2]
    yield from parts[:begin]
    yield Hidden(sum(map(_lines_of, parts[begin:end])))
    yield from parts[end:]


def folded(groups: Sequence[Group], says: Callable[[Group], object]) -> Iterator[Part]:
    """Lines to show, and numbers of those that are only counted.

    :param says: what is told at a line, to be compared.
    """
    groups = [group for group in groups if group.place >= 0 or group.telling]
    parts: list[Part] = []
    for telling, run in itertools.groupby(groups, key=lambda group: bool(group.telling)):
        some = list(run)
        parts += some if telling or len(some) <= _FEW else [Hidden(len(some))]
    return _without_the_middle(list(_without_repetitions(parts, says)))


def _without_repetitions(parts: Sequence[Part], says: Callable[[Group], object]) -> Iterator[Part]:
    telling = [(n, part) for n, part in enumerate(parts) if isinstance(part, Group) and part.telling]
    keys, at = [says(part) for _, part in telling], [n for n, _ in telling]
    for period in range(1, _LONGEST_PERIOD + 1):
        for first in range(len(keys) - (_OFTEN - 1) * period):
            times = 1
            while keys[first : first + period] == keys[first + times * period : first + (times + 1) * period]:
                times += 1
            if times < _OFTEN:
                continue
            once, end = list(parts[at[first] : at[first + period]]), at[first + times * period - 1] + 1
            between = once.pop() if isinstance(once[-1], Hidden) else Hidden(0)
            yield from [*parts[: at[first]], *once]
            yield Hidden(_lines_of(between), times - 1, sum(map(_lines_of, parts[at[first + period] : end])))
            yield from _without_repetitions(parts[end:], says)
            return
    yield from parts

"""What is shown of an interleaving, row by row, whatever the columns will be: lines of source, what they did, switches.

The short view shows the lines that matter. Up to two lines between them stand there without their accesses, because that is
no longer than saying that they were left out; more are counted. The detailed view shows everything.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ftcheck.narrative import Did, Handover, Interleaving, Step, Turn
from ftcheck.report.interleaving_words import Signs, said

ACROSS = -1
_SOURCE_LINES = 3
"""A line of source is shown with so many, at most."""
_FEW = 2
"""So many lines that do not matter are shown rather than counted."""
_MOST_LINES = 16
"""Of one turn, in the short view; then its middle is counted."""
_MOST_BEHIND = 6
"""Lines after the failure, in the short view."""
_MOST_TURNS = 40
"""In the short view; then the middle of the run is counted."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row, in the column of its thread.

    :param thread: :data:`ACROSS`: of none, it goes across all columns.
    :param indent: of the text, and of what follows if it has to be wrapped.
    :param most_lines: then it is cut off.
    :param style: as rich calls it.
    """

    thread: int
    text: str
    indent: int = 0
    label: str = ""
    most_lines: int = 100
    style: str = ""


@dataclass(frozen=True, slots=True)
class _Group:
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


def shown_turns(interleaving: Interleaving, detailed: bool) -> list[Turn]:
    """The turns of which something is shown; what one thread does without being interrupted by those is one turn."""
    turns: list[Turn] = []
    for turn in interleaving.turns:
        if not detailed and not any(step.matters for step in turn.steps):
            continue
        if turns and turns[-1].thread == turn.thread:
            before = turns.pop()
            turn = replace(turn, steps=before.steps + turn.steps, left_out=before.left_out + turn.left_out)
        turns.append(turn)
    return turns


def _failing(turns: Sequence[Turn]) -> int:
    """The number of the turn with the last exception; without one, of none."""
    return max((n for n, turn in enumerate(turns) if any(step.did is Did.RAISE for step in turn.steps)), default=len(turns))


def without_the_rest(turns: Sequence[Turn]) -> tuple[list[Turn], list[Turn]]:
    """Turns, and those after the failure, if these are too many: they only show what had not been done yet."""
    behind = _failing(turns) + 1
    lines = sum(len({step.place for step in turn.steps if step.matters}) for turn in turns[behind:])
    return (list(turns), []) if lines <= _MOST_BEHIND else (list(turns[:behind]), list(turns[behind:]))


class Rows:
    """Turns turns into rows.

    :param behind: turns that follow, and are not shown.
    :param where: a place as it is called where functions change: ``in Counter.increment``, with the file where there are
        several.
    :param known: where each thread is known to be at first.
    """

    def __init__(
        self,
        interleaving: Interleaving,
        turns: Sequence[Turn],
        behind: Sequence[Turn],
        detailed: bool,
        signs: Signs,
        where: Callable[[int], str],
        known: Mapping[int, str],
    ) -> None:
        self._told, self._turns, self._detailed, self._signs, self._where = interleaving, turns, detailed, signs, where
        lines = [place.line for place in interleaving.places]
        self._digits = len(str(max(lines, default=0)))
        self._all = [*turns, *behind]
        self._last = dict(known)
        self._line: dict[int, int] = {}  # that was shown last
        self._failed = len(turns) if detailed else _failing(turns)

    def all(self) -> Iterator[Row]:
        """In the order of time."""
        skipped = range(0)
        if not self._detailed and len(self._turns) > _MOST_TURNS:
            skipped = range(_MOST_TURNS // 2, len(self._turns) - _MOST_TURNS // 2)
        for number, turn in enumerate(self._turns):
            if number in skipped:
                if number == skipped.start:
                    yield Row(ACROSS, f"{self._signs.dots} {len(skipped)} more turns", style="dim")
                continue
            if number == self._failed + 1:
                yield Row(ACROSS, "after the failure:", style="dim")
            yield from self._turn(number, turn)

    def _turn(self, number: int, turn: Turn) -> Iterator[Row]:
        groups = list(self._groups(turn.steps))
        after = next((one for one in self._all[number + 1 :] if one.thread == turn.thread), None)
        if not self._detailed:
            if groups and not groups[0].telling and groups[0].place == self._line.get(turn.thread):
                del groups[0]  # it only ends
            while groups and not groups[-1].telling:
                groups.pop()
            groups = [group for group in groups if group.telling or not group.only_leaves]
        for part in self._folded(groups):
            if isinstance(part, int):
                lines = "line" if part == 1 else "lines"
                yield Row(turn.thread, f"{self._signs.dots} {part} more {lines}", self._digits + 2, style="dim")
            else:
                yield from self._group(turn.thread, part, part is groups[0] and part.place == self._line.get(turn.thread))
                self._line[turn.thread] = part.place
        if turn.left_out:
            yield Row(turn.thread, f"{self._signs.dots} and {turn.left_out} steps that were not kept", style="dim")
        if turn.handover in _SWITCHES and number + 1 < len(self._all):
            to = self._told.name(self._all[number + 1].thread)
            text = _SWITCHES[turn.handover].format(to) + self._stopped(groups, after)
            yield Row(turn.thread, f"{self._signs.line * 2} {text} {self._signs.line * 2}", style="bold yellow")

    def _stopped(self, groups: Sequence[_Group], after: Turn | None) -> str:
        """Where a thread was when it was stopped."""
        coming = self._told.place(_first_place(after)) if after is not None else None
        if coming is None:
            return ""
        within = bool(groups) and groups[-1].place == _first_place(after)
        return f", {'within' if within else 'before'} line {coming.line}"

    def _groups(self, steps: Sequence[Step]) -> Iterator[_Group]:
        collected: list[Step] = []
        for step in steps:
            leaves = collected and (step.did is Did.RELEASE) != (collected[-1].did is Did.RELEASE)
            if collected and (collected[-1].place != step.place or leaves):
                yield _Group(collected[-1].place, tuple(collected))
                collected = []
            collected.append(step)
        if collected:
            yield _Group(collected[-1].place, tuple(collected))

    def _folded(self, groups: Sequence[_Group]) -> Iterator[_Group | int]:
        """Groups to show, and numbers of those that are only counted."""
        if self._detailed:
            yield from groups
            return
        groups = [group for group in groups if group.place >= 0 or group.telling]
        shown: list[bool] = []
        for telling, run in itertools.groupby(groups, key=lambda group: bool(group.telling)):
            length = len(list(run))
            shown += [telling or length <= _FEW] * length
        if sum(shown) > _MOST_LINES:
            first = [n for n, one in enumerate(shown) if one]
            for number in first[_MOST_LINES // 2 : -_MOST_LINES // 2]:
                shown[number] = False
        hidden = 0
        for group, one in zip(groups, shown, strict=True):
            if one and hidden:
                yield hidden
                hidden = 0
            if one:
                yield group
            else:
                hidden += 1
        if hidden:
            yield hidden

    def _group(self, thread: int, group: _Group, continued: bool) -> Iterator[Row]:
        steps = group.steps if self._detailed else group.telling
        place = self._told.place(group.place)
        if place is not None and not group.only_leaves:
            where = self._where(group.place)
            if self._last.get(thread) != where:
                self._last[thread] = where
                yield Row(thread, where, style="dim")
            text = place.source or f"(in {place.function}; there is no source)"
            label = f"{place.line:>{self._digits}}"
            yield Row(
                thread,
                f"{self._signs.dots} {text}" if continued else text,
                self._digits + 2,
                label,
                most_lines=_SOURCE_LINES if steps else 1,
                style="" if steps else "dim",
            )
        source = place.source if place is not None and not group.only_leaves else ""
        for text, times, style in self._texts(steps):
            if times == 1 and text.replace('"', "'") in source.replace('"', "'"):
                continue  # the line says it
            yield Row(thread, f"{text}  ({times} times)" if times > 1 else text, self._digits + 6, style=style)

    def _texts(self, steps: Sequence[Step]) -> Iterator[tuple[str, int, str]]:
        """What steps say, each text with how often it comes in a row."""
        last, times, style = "", 0, ""
        for step in steps:
            text = said(step, self._told, self._signs)
            if text == last:
                times += 1
                continue
            if times:
                yield last, times, style
            last, times, style = text, 1, _STYLES.get(step.did, "cyan")
        if times:
            yield last, times, style


_SWITCHES = {Handover.PREEMPTED: "switch to {}", Handover.GAVE_WAY: "gives way to {}"}
_STYLES = {
    Did.RAISE: "bold red",
    Did.WAIT: "bold yellow",
    Did.SLEEP: "yellow",
    Did.TIMEOUT: "yellow",
    Did.OUTSIDE: "bold yellow",
}


def _first_place(turn: Turn | None) -> int:
    return next((step.place for step in turn.steps if step.did is not Did.BEGIN), -1) if turn is not None else -1

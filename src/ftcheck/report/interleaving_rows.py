"""What is shown of an interleaving, row by row, whatever the columns will be: lines of source, what they did, switches.

The short view shows the lines that matter, and counts others (``interleaving_folds``). The detailed view shows everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ftcheck.narrative import Did, Handover, Interleaving, Step, Turn
from ftcheck.report.interleaving_folds import Group, Hidden, folded
from ftcheck.report.interleaving_words import Signs, said

ACROSS = -1
_SOURCE_LINES = 3
"""A line of source is shown with so many, at most."""
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
    :param rule: it stands between two short lines.
    """

    thread: int
    text: str
    indent: int = 0
    label: str = ""
    most_lines: int = 100
    style: str = ""
    rule: bool = False


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
    :param where: a place as it is called where functions change: ``in Counter.increment``.
    :param file: the name of its file, which is said where that changes, too.
    :param in_file: the one that need not be said at first.
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
        file: Callable[[int], str],
        in_file: str,
        known: Mapping[int, str],
    ) -> None:
        self._told, self._turns, self._detailed, self._signs = interleaving, turns, detailed, signs
        self._where, self._file, self._in_file = where, file, in_file
        self._files: dict[int, str] = {}  # that each thread was said to be in
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
        for part in groups if self._detailed else folded(groups, self._says):
            if isinstance(part, Hidden):
                yield Row(turn.thread, f"{self._signs.dots} {part.text}", self._digits + 2, style="dim")
            else:
                yield from self._group(turn.thread, part, part is groups[0] and part.place == self._line.get(turn.thread))
                self._line[turn.thread] = part.place
        if turn.left_out:
            yield Row(turn.thread, f"{self._signs.dots} and {turn.left_out} steps that were not kept", style="dim")
        if turn.handover in _SWITCHES and number + 1 < len(self._all):
            to = self._told.name(self._all[number + 1].thread)
            text = _SWITCHES[turn.handover].format(to) + self._stopped(groups, after)
            yield Row(turn.thread, text, style="bold yellow", rule=True)

    def _stopped(self, groups: Sequence[Group], after: Turn | None) -> str:
        """Where a thread was when it was stopped."""
        coming = self._told.place(_first_place(after)) if after is not None else None
        if coming is None:
            return ""
        within = bool(groups) and groups[-1].place == _first_place(after)
        return f", {'within' if within else 'before'} line {coming.line}"

    def _groups(self, steps: Sequence[Step]) -> Iterator[Group]:
        collected: list[Step] = []
        for step in steps:
            leaves = collected and (step.did is Did.RELEASE) != (collected[-1].did is Did.RELEASE)
            if collected and (collected[-1].place != step.place or leaves):
                yield Group(collected[-1].place, tuple(collected))
                collected = []
            collected.append(step)
        if collected:
            yield Group(collected[-1].place, tuple(collected))

    def _says(self, group: Group) -> object:
        return group.place, [said(step, self._told, self._signs) for step in group.telling]

    def _group(self, thread: int, group: Group, continued: bool) -> Iterator[Row]:
        steps = group.steps if self._detailed else group.telling
        place = self._told.place(group.place)
        if place is not None and not group.only_leaves:
            where = self._where(group.place)
            if self._last.get(thread) != where:
                self._last[thread] = where
                file = self._file(group.place)
                yield Row(
                    thread, f"{where}, {file}" if self._files.get(thread, self._in_file) != file else where, style="dim"
                )
                self._files[thread] = file
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

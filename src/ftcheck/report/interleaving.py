"""A found interleaving as text: the outcome first, then how it came to that, then how to run it again.

The rows come from ``interleaving_rows``, the columns from ``interleaving_layout``.
"""

from __future__ import annotations

import io
import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from ftcheck.narrative import Did, Held, Interleaving, Raised, Step, Turn
from ftcheck.report.interleaving_layout import layout
from ftcheck.report.interleaving_rows import ACROSS, Rows, shown_turns, without_the_rest
from ftcheck.report.interleaving_words import Signs, waits
from ftcheck.verdicts import Location


def render(
    interleaving: Interleaving,
    *,
    replay: str = "",
    pin: str = "",
    width: int = 100,
    detailed: bool = False,
    encoding: str = "utf-8",
    colour: bool = False,
    shorten: Callable[[str], str] | None = None,
) -> str:
    """The text.

    :param replay: the command that runs this interleaving again; **pin**: the decorator that makes a regression test of it;
        without a command, neither is shown.
    :param width: columns.
    :param detailed: everything that the threads did, and whole tracebacks; otherwise what matters.
    :param encoding: of the output: what it cannot show is written in ASCII.
    :param shorten: gives the name of a file as it is to be shown; by default relative to the current folder, or as it is
        imported (``package/module.py``).
    """
    signs = Signs.of(encoding)
    shown = _Shown(interleaving, max(width, 40), detailed, signs, shorten or _relative)
    console = Console(file=io.StringIO(), width=max(width, 40), force_terminal=colour, no_color=not colour, highlight=False)
    for line in [*shown.outcome(), *shown.table(), *shown.tracebacks(), *shown.again(replay, pin)]:
        console.print(line, soft_wrap=True)
    assert isinstance(console.file, io.StringIO)
    text = "\n".join(line.rstrip() for line in console.file.getvalue().split("\n")).rstrip("\n")
    return text.encode(signs.encoding, errors="backslashreplace").decode(signs.encoding)


class _Shown:
    def __init__(self, told: Interleaving, width: int, detailed: bool, signs: Signs, shorten: Callable[[str], str]) -> None:
        self._told, self._width, self._detailed, self._signs, self._shorten = told, width, detailed, signs, shorten
        self._turns = shown_turns(told, detailed)
        self._behind: list[Turn] = []
        if not detailed:
            self._turns, self._behind = without_the_rest(self._turns)
        self._after = self._take_the_end()
        used = {step.place for turn in [*self._turns, *self._after] for step in turn.steps if detailed or step.matters}
        self._files = {place.file for number in sorted(used) if (place := told.place(number)) is not None}

    def _take_the_end(self) -> list[Turn]:
        """What the test does when all threads have ended needs no column, unless the test has one anyway."""
        if not self._turns or self._turns[-1].thread != 0 or not all(turn.thread for turn in self._turns[:-1]):
            return []
        last = self._turns.pop()
        return [last if self._detailed else replace(last, steps=tuple(step for step in last.steps if step.matters))]

    # --- the outcome -------------------------------------------------------------------------------------------------------

    def outcome(self) -> Iterator[Text]:
        told = self._told
        for raised in told.raised:
            yield Text.assemble((raised.headline, "bold red"), f" in {self._called(raised.thread)}")
            if frame := _innermost(raised, self._own()):
                yield Text(f"    {self._at(frame)} in {frame.function}", style="dim")
                if frame.source:
                    yield Text(f"        {frame.source}")
        if told.ending == "deadlock":
            yield from self._deadlock()
        elif told.ending != "complete":
            yield Text(f"the run was ended: {told.ending}", style="bold red")
        if not told.complete:
            yield Text("not everything was noted: there was not enough memory", style="yellow")

    def _deadlock(self) -> Iterator[Text]:
        told = self._told
        stuck = [one for one in told.waiting if one.step.matters]
        circle = _circle({one.thread: {one.step.holder, *one.step.threads} for one in stuck})
        if circle:
            yield Text(f"deadlock: {_threads(circle)} wait for each other", style="bold red")
        elif stuck:
            verb = "waits" if len(stuck) == 1 else "wait"
            names = _threads([one.thread for one in stuck])
            yield Text(f"deadlock: {names} {verb} for ever, and nobody is left to change that", style="bold red")
        else:
            yield Text("deadlock: nobody can go on", style="bold red")
        for thread in sorted({one.thread for one in stuck} | {held.thread for held in told.held}):
            holds = "has ended, and holds" if thread in self._ended() else "holds"
            doing = [f"{holds} {held.lock}{self._taken(held)}" for held in told.held if held.thread == thread]
            doing += [f"{waits(one.step, told, since=False)}{self._in(one.step)}" for one in stuck if one.thread == thread]
            name = told.name(thread)
            for number, text in enumerate(doing):
                yield Text(f"    {'' if number else name:{len(name)}} {text}")
        yield from self._made()

    def _made(self) -> Iterator[Text]:
        """Where the locks that are held were made; those of one place together."""
        locks: dict[Location, list[str]] = {}
        for held in self._told.held:
            if (place := self._told.place(held.made)) is not None and held.lock not in locks.setdefault(place, []):
                locks[place].append(held.lock)
        for place, names in locks.items():
            verb = "was" if len(names) == 1 else "were"
            yield Text(f"    {_and(names)} {verb} made at {self._at(place)} in {place.function}")

    def _ended(self) -> set[int]:
        last = {turn.thread: turn.steps[-1] for turn in self._told.turns if turn.steps}
        return {thread for thread, step in last.items() if step.did is Did.END}

    def _taken(self, held: Held) -> str:
        place = self._told.place(held.since)
        return f", taken at {self._at(place)} in {place.function}" if place is not None else ""

    def _in(self, step: Step) -> str:
        place = self._told.place(step.place)
        return f", at {self._at(place)} in {place.function}" if place is not None else ""

    def _own(self) -> set[str]:
        return {place.file for place in self._told.places}

    def _called(self, thread: int) -> str:
        if thread < 0:
            return "a thread"
        name = self._told.names[thread] if thread < len(self._told.names) else ""
        return f"{self._told.name(thread)} ({name})" if name and thread else self._told.name(thread)

    def _at(self, place: Location) -> str:
        return f"{self._shorten(place.file)}:{place.line}"

    # --- the table ---------------------------------------------------------------------------------------------------------

    def table(self) -> Iterator[Text]:
        if not self._turns and not self._after:
            return
        told = self._told
        threads = sorted({turn.thread for turn in self._turns})
        yield Text()
        yield Text(self._legend(), style="dim")
        yield Text()
        titles = {thread: self._title(thread) for thread in threads}
        known = {thread: f"in {name}" for thread, name in enumerate(told.names)}
        turns = [*self._turns, *self._after]
        rows = Rows(
            told, turns, self._behind, self._detailed, self._signs, self._where, self._file, self._only_file(), known
        )
        above = list(itertools.takewhile(lambda row: row.thread == ACROSS or row.thread in titles, rows.all()))
        if titles:
            yield from layout(above, titles, self._width, self._signs)
        if self._behind:
            names = _threads(sorted({turn.thread for turn in self._behind}))
            yield Text(f" {self._signs.dots} after the failure, {names} went on", style="dim")
        if self._after:
            yield Text()
            yield Text(" then, in the test:" if titles else " in the test:", style="bold")
            last = [step.place for step in self._after[0].steps if step.did is Did.RAISE]
            known = {0: self._where(last[0])} if last and self._told.place(last[0]) is not None else {}
            below = Rows(
                told, self._after, (), self._detailed, self._signs, self._where, self._file, self._only_file(), known
            )
            for row in below.all():
                yield Text(f"   {row.label:<{row.indent}}{row.text}", style=row.style)

    def _legend(self) -> str:
        number = self._told.preemptions
        preemptions = {0: "no preemption", 1: "1 preemption"}.get(number, f"{number} preemptions")
        lines = f", lines of {self._only_file()}" if self._only_file() else ""
        return f"The interleaving, from top to bottom ({preemptions}{lines}):"

    def _title(self, thread: int) -> str:
        name = self._told.names[thread] if thread < len(self._told.names) else ""
        head = "the test" if thread == 0 else f"thread {thread}"
        return f"{head}: {name}" if name and thread else head

    def _where(self, number: int) -> str:
        place = self._told.place(number)
        assert place is not None
        return f"in {place.function}"

    def _file(self, number: int) -> str:
        place = self._told.place(number)
        return self._shorten(place.file) if place is not None else ""

    def _only_file(self) -> str:
        return self._shorten(next(iter(self._files))) if len(self._files) == 1 else ""

    # --- the end -----------------------------------------------------------------------------------------------------------

    def tracebacks(self) -> Iterator[Text]:
        own = self._own()
        for raised in self._told.raised:
            frames = [frame for frame in raised.frames if self._detailed or frame.file in own]
            if len(frames) < 2 and not self._detailed and "\n" not in raised.message:
                continue  # the table shows that line
            yield Text()
            yield Text(f"{self._called(raised.thread)} raised, the innermost last:", style="bold")
            for frame in frames:
                yield Text(f"    {self._at(frame)} in {frame.function}", style="dim")
                if frame.source:
                    yield Text(f"        {frame.source}")
            for line in f"{raised.kind}: {raised.message}".rstrip(": ").splitlines():
                yield Text(f"    {line}", style="red")

    def again(self, replay: str, pin: str) -> Iterator[Text]:
        if not replay:
            return
        yield Text()
        yield Text.assemble(("run it again:  ", "dim"), replay)
        yield Text.assemble(("pin it:        ", "dim"), pin)


def _innermost(raised: Raised, own: set[str]) -> Location | None:
    frames = [frame for frame in raised.frames if frame.file in own] or list(raised.frames)
    return frames[-1] if frames else None


def _circle(waits_for: dict[int, set[int]]) -> list[int]:
    """Threads that wait for each other: from each of them, one comes back to it."""

    def reached(start: int) -> set[int]:
        found: set[int] = set()
        coming = [start]
        while coming:
            coming += (new := waits_for.get(coming.pop(), set()) - found)
            found |= new
        return found

    return sorted(thread for thread in waits_for if thread in reached(thread))


def _threads(numbers: Sequence[int]) -> str:
    """``threads 1 and 2``; the test is none of them."""
    names = [str(number) for number in numbers if number]
    threads = [f"{'thread' if len(names) == 1 else 'threads'} {_and(names)}"] if names else []
    return _and(["the test"] * (0 in numbers) + threads)


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _relative(file: str) -> str:
    try:
        relative = os.path.relpath(file)
    except ValueError, OSError:
        return file
    if not relative.startswith(".."):
        return relative
    roots = [root for root in sys.path if root and file.startswith(root.rstrip(os.sep) + os.sep)]
    return os.path.relpath(file, max(roots, key=len)) if roots else file

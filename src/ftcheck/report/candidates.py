"""The race candidates of each explored test, as text: what is accessed, and the two lines.

They stand behind the findings, because they are none: a pair is where a bug can be. Of those that were reversed, and the
check held, the reader needs no more than the list; those on top want a look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import Console
from rich.text import Text

from ftcheck.candidates import Candidate, Candidates, Mark
from ftcheck.coverage import counted
from ftcheck.report.model import RunReport
from ftcheck.verdicts import TestVerdict

_SHOWN = 12
_STYLES = {Mark.CONFIRMED: "red", Mark.NOT_EXPLORED: "yellow", Mark.NOT_MENDED: "yellow", Mark.HELD: "green"}
_MEANING = {Mark.CONFIRMED: "confirmed: with this pair reversed, the failing test passes"}
_LIMITS = {"complete": "all interleavings", "schedules": "schedule budget reached", "seconds": "time budget reached"}


def show(
    console: Console,
    report: RunReport,
    *,
    where: Callable[[str], str],
    shorten: Callable[[str], str],
    everything: bool,
) -> None:
    """Print the lists of all tests that have one.

    :param where: a node id as it must be typed in the current folder; **shorten**: the name of a file as it is to be shown.
    :param everything: however many there are.
    """
    for test in report.tests:
        listed = candidates_of(test)
        if listed is not None:
            console.print()
            for line in _lines(where(test.test), listed, shorten, everything, console.width):
                console.print(line, soft_wrap=True)


def candidates_of(test: TestVerdict) -> Candidates | None:
    """The list of one test; None: nobody asked for it, or the test was not explored."""
    explored = test.coverage.interleavings if test.coverage is not None else None
    return explored.candidates if explored is not None else None


def _lines(test: str, listed: Candidates, shorten: Callable[[str], str], everything: bool, width: int) -> Iterator[Text]:
    yield Text.assemble(("race candidates of ", "bold"), (test, "bold"), f": {_summary(listed)}")
    shown = listed.pairs if everything or len(listed.pairs) <= _SHOWN else listed.pairs[: _SHOWN - 1]
    for mark in Mark:
        pairs = [pair for pair in shown if pair.mark is mark]
        if pairs:
            yield Text.assemble("  ", (_MEANING.get(mark, mark.value), _STYLES[mark]))
        for pair in pairs:
            yield from _pair(pair, shorten, width)
    if len(shown) < len(listed.pairs):
        yield Text(f"  ... and {len(listed.pairs) - len(shown)} more (pytest -v shows all)")


def _summary(listed: Candidates) -> str:
    if not listed.looked:
        return "not looked for, because accesses are not seen with points=lines"
    pairs = counted(len(listed.pairs), "pair") if listed.pairs else "none"
    reversing = f", {listed.reversing} of them to reverse a pair" if listed.reversing else ""
    untried = f"; {counted(listed.untried, 'reversal')} in failing runs not tried" if listed.untried else ""
    return f"{pairs} in {counted(listed.schedules, 'schedule')}{reversing} ({_LIMITS[listed.limit]}{untried})"


def _pair(pair: Candidate, shorten: Callable[[str], str], width: int) -> Iterator[Text]:
    note = f"  ({pair.note})" if pair.note else ""
    yield Text.assemble("    ", (pair.name, "bold"), (note, "dim"))
    sides = [pair.first] if pair.first == pair.second else [pair.first, pair.second]
    places = [f"{shorten(side.location.file)}:{side.location.line} in {side.location.function}" for side in sides]
    does = [f"{side.does}, in two threads" if len(sides) == 1 else side.does for side in sides]
    widths = max(map(len, places)), max(map(len, does))
    for place, doing, side in zip(places, does, sides, strict=True):
        line = Text(f"      {place:<{widths[0]}}  {doing:<{widths[1]}}")
        source = side.location.source
        if len(line) + 2 + len(source) <= width:
            line = Text.assemble(line, "  ", (source, "dim")) if source else line
            source = ""
        yield line
        if source:
            yield Text(f"          {source}", style="dim")

"""The possible data races of each test that was run by the strict rule, as text: what is accessed, and the two lines.

They stand behind the findings, because they are none: what the interpreter orders by is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import Console
from rich.text import Text

from ftcheck.coverage import counted
from ftcheck.possible import PossibleRace, PossibleRaces
from ftcheck.report.model import RunReport

_SHOWN = 12


def show(
    console: Console,
    report: RunReport,
    *,
    where: Callable[[str], str],
    shorten: Callable[[str], str],
    everything: bool,
) -> None:
    """Print the lists of all tests that have one with something in it.

    :param where: a node id as it must be typed in the current folder; **shorten**: the name of a file as it is to be shown.
    :param everything: however many there are, and with the stacks.
    """
    listed = [(test.test, test.coverage.possible) for test in report.tests if test.coverage and test.coverage.possible]
    listed = [(test, found) for test, found in listed if found.pairs or found.dropped]
    if not listed:
        return
    console.print()
    meaning = "no explicit synchronisation orders them, but the interpreter may"
    console.print(Text.assemble(("possible data races (strict)", "bold"), f": {meaning}"), soft_wrap=True)
    for test, found in listed:
        console.print(Text.assemble("  ", (where(test), "bold")), soft_wrap=True)
        for line in _lines(found, shorten, everything):
            console.print(line, soft_wrap=True)


def _lines(found: PossibleRaces, shorten: Callable[[str], str], everything: bool) -> Iterator[Text]:
    shown = found.pairs if everything or len(found.pairs) <= _SHOWN else found.pairs[: _SHOWN - 1]
    for pair in shown:
        yield from _stacks(pair) if everything else _two_lines(pair, shorten)
    if len(shown) < len(found.pairs):
        yield Text(f"    ... and {len(found.pairs) - len(shown)} more (pytest -v shows all)")
    if found.dropped:
        yield Text(f"    {counted(found.dropped, 'time')} more, when there was no room for them")


def _stacks(pair: PossibleRace) -> Iterator[Text]:
    yield from (Text(f"    {line}") for line in pair.text.splitlines())


def _two_lines(pair: PossibleRace, shorten: Callable[[str], str]) -> Iterator[Text]:
    yield Text.assemble("    ", (pair.headline, "yellow"))
    places = [f"{shorten(one.file)}:{one.line} in {one.function}" for one in (pair.later, pair.earlier)]
    for place, one in zip(places, (pair.later, pair.earlier), strict=True):
        yield Text.assemble(f"      {place:<{max(map(len, places))}}", (f"  {one.source}" if one.source else "", "dim"))

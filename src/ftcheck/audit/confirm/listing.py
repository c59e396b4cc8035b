"""The words that ``ftcheck confirm`` prints: each workload with its verdict, and what was looked at."""

from __future__ import annotations

import dataclasses
import textwrap
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ftcheck.audit.confirm.confirming import Confirmed
from ftcheck.audit.confirm.words import Result, Verdict
from ftcheck.coverage import grouped

SCHEMA, VERSION = "ftcheck-confirm", 1
_WIDTH = 100


def text(confirmed: Confirmed, *, colour: bool) -> Iterator[str]:
    """Everything, as lines."""
    for one in sorted(confirmed.results, key=lambda one: not one.verdict.found):
        yield from _result(one, colour)
        yield ""
    reasons: dict[str, list[str]] = {}
    for place, why in confirmed.unreached:
        reasons.setdefault(why, []).append(str(place))
    for why, places in reasons.items():
        yield from _wrapped(f"not checked: {why}", "", "  ")
        for words in places:
            yield from _wrapped(words, "    ", "      ")
        yield ""
    counts = _tally(confirmed)
    for verdict in filter(counts.__getitem__, Verdict):
        yield f"{counts[verdict]:>3}  {verdict.value}"
    yield from _wrapped(_denominator(confirmed), "", "")
    for words in confirmed.limits:
        yield from _wrapped(f"cut short: {words}", "", "  ")
    if any(one.verdict is Verdict.NOT_REPRODUCED for one in confirmed.results):
        yield "Not reproduced is no proof: other arguments, more threads or more time may show it."


def _result(one: Result, colour: bool) -> Iterator[str]:
    yield _styled(one.callable, "1", colour)
    mark = "31" if one.verdict.found else "33" if one.verdict is Verdict.NOT_CHECKED else "2"
    yield f"  {_styled(one.verdict.value, mark, colour)}"
    workload = one.workload
    if workload is not None:
        shared = f", shared = {workload.container}" if workload.container else ""
        thing = f", thing = {workload.thing}" if workload.thing else ""
        calls = " | ".join(workload.calls)
        yield from _wrapped(f"{workload.kind.words}: {calls}{shared}{thing}", "    ", "      ")
    yield from _wrapped(one.why, "    ", "      ")
    stack = one.stack
    if stack:
        yield from _wrapped(f"it crashed in {' < '.join(stack[:6])}", "    ", "      ")
    elif any(run.crashed for run in one.runs):
        yield from _wrapped("in which C function it crashed is not known: the report has no frame of an extension", "    ",
                            "      ")  # fmt: skip
    for reached in one.places:
        yield from _wrapped(f"{_link(one, reached.place.function)} {reached.place}", "    ", "      ")
        if len(reached.way) > 1:
            yield from _wrapped(f"reached by {' < '.join(reached.way)}", "      ", "        ")


def _link(one: Result, function: str) -> str:
    """What the runs have to do with a place: a workload that crashes may have crashed for another reason."""
    if any(function == name.partition(".")[0] for name in one.stack):
        return "in the stack of the crash:"
    return "it may be, which the runs do not say:" if one.verdict.found else "about"


def _tally(confirmed: Confirmed) -> Counter[Verdict]:
    return Counter([*(one.verdict for one in confirmed.results), *(Verdict.NOT_CHECKED for _ in confirmed.unreached)])


def _denominator(confirmed: Confirmed) -> str:
    parts = []
    if (source := confirmed.source) is not None:
        languages = ", ".join(f"{name} {number:,}" for name, number in source.files)
        parts.append(
            f"read {grouped(sum(number for _, number in source.files), 'file')} ({languages or 'nothing'}) "
            f"with {grouped(source.functions, 'function')}: "
            f"{grouped(source.findings, 'place')} to confirm"
        )
    workloads = sum(one.workload is not None for one in confirmed.results)
    runs = sum(len(one.runs) for one in confirmed.results)
    parts.append(
        f"tried {grouped(confirmed.callables, 'callable')}: {grouped(workloads, 'workload')}, {grouped(runs, 'run')} "
        f"in processes of their own (CPython {confirmed.version} free-threaded)"
    )
    return "; ".join(parts)


def _styled(words: str, code: str, colour: bool) -> str:
    return f"\x1b[{code}m{words}\x1b[0m" if colour else words


def _wrapped(words: str, first: str, rest: str) -> list[str]:
    clean = " ".join("".join(one if one.isprintable() else " " for one in words).split())
    return textwrap.wrap(
        clean, _WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def plain(confirmed: Confirmed) -> dict[str, Any]:
    """The same as plain data."""
    results = [{**dataclasses.asdict(one), "stack": one.stack} for one in confirmed.results]
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "python": confirmed.python,
        "results": results,
        "not_checked": [{"place": dataclasses.asdict(place), "why": why} for place, why in confirmed.unreached],
        "source": dataclasses.asdict(confirmed.source) if confirmed.source is not None else None,
        "callables": confirmed.callables,
        "limits": list(confirmed.limits),
    }

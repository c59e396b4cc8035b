"""The report as text for a terminal: the verdicts in a table, then each finding, then what was not checked."""

from __future__ import annotations

import io
import os
import textwrap
from collections import Counter
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ftcheck.coverage import Coverage, counted
from ftcheck.report import candidates, possible, statics
from ftcheck.report.model import RunReport
from ftcheck.verdicts import Finding, TestVerdict, Verdict

_STYLES = {
    Verdict.SKIPPED: "yellow",
    Verdict.EXPECTED_FAILURE: "yellow",
    Verdict.NOT_CHECKED: "yellow",
    Verdict.PASSED: "green",
}
_MEANING = {
    Verdict.CRASH: "the process died",
    Verdict.HANG: "a round did not end in time",
    Verdict.DEADLOCK: "threads wait for each other for ever",
    Verdict.FAILURE: "an assertion failed or an exception was raised in a thread",
    Verdict.ERROR: "a set-up or teardown failed",
    Verdict.DATA_RACE: "two unordered accesses to the same memory",
    Verdict.GIL_ENABLED: "a module turned the GIL on",
    Verdict.SKIPPED: "skipped by the test itself",
    Verdict.EXPECTED_FAILURE: "failed, and is marked xfail",
    Verdict.NOT_CHECKED: "ran, but not concurrently",
    Verdict.PASSED: "nothing found in what was run",
}
_PROSE = ("what", "GIL")
_TESTS_SHOWN = 5
_REASONS_SHOWN = 12


def render(report: RunReport, *, width: int, colour: bool, verbose: int, where: Callable[[str], str]) -> str:
    """The report's text.

    :param width: columns.
    :param verbose: pytest's verbosity: from 1 on every test has a row, below 0 only the counts are shown.
    :param where: a node id as it must be typed in the current folder.
    """
    console = Console(
        file=io.StringIO(),
        width=max(60, width),
        force_terminal=colour,
        no_color=not colour,
        highlight=False,
        soft_wrap=False,
    )
    if report.tests or report.general or report.statics is None:
        console.print(_counts(report))
    if report.concurrent.whole:
        share = report.concurrent
        tests = "test" if share.whole == 1 else "tests"
        console.print(f"concurrent: {share.part:,} of {share.whole:,} {tests} ({share.percent})", soft_wrap=True)
    if verbose >= 0:
        for number, finding in enumerate(report.findings, 1):
            console.print()
            _finding(console, report, finding, number, where)
        for listed in (candidates, possible):
            listed.show(console, report, where=where, shorten=_short, everything=verbose > 0)
        _not_checked(console, report)
    if report.statics is not None:
        if report.tests or report.general:
            console.print()
        statics.show(console, report.statics, where=where, everything=verbose > 0, brief=verbose < 0)
    if verbose > 0:
        _every_test(console, report)
    if report.ending.troubles:
        console.print()
        for trouble in report.ending.troubles:
            console.print(Text(f"ftcheck: {trouble}", style="red"), soft_wrap=True)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().split("\n")
    return "\n".join(line.rstrip() for line in lines).rstrip("\n")


def _style(verdict: Verdict) -> str:
    return _STYLES.get(verdict, "red")


def _counts(report: RunReport) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right")
    table.add_column(no_wrap=True)
    table.add_column(style="dim")
    for verdict in Verdict:
        number = report.count(verdict)
        if number:
            text = Text(verdict.value, style=_style(verdict))
            table.add_row(str(number), text, _coverage_of(report) if verdict is Verdict.PASSED else _MEANING[verdict])
    return table


def _coverage_of(report: RunReport) -> str:
    every = [test.coverage for test in report.tests if test.verdict is Verdict.PASSED and test.coverage]
    parallel = [coverage for coverage in every if coverage.interleavings is None]
    texts = [
        _ran([coverage for coverage in parallel if not coverage.interpreters], "threads"),
        _ran([coverage for coverage in parallel if coverage.interpreters], "interpreters"),
        _explored([coverage for coverage in every if coverage.interleavings is not None]),
    ]
    return "\n".join(filter(None, texts)) or _MEANING[Verdict.PASSED]


def _ran(passed: Sequence[Coverage], who: str) -> str:
    """What ran really in parallel."""
    if not passed:
        return ""
    threads = Counter(coverage.threads for coverage in passed).most_common(1)[0][0]
    rounds = sum(coverage.rounds for coverage in passed)
    overlapped = sum(coverage.overlapped for coverage in passed)
    cut = sum(coverage.limit == "seconds" for coverage in passed)
    share = overlapped / max(1, rounds)
    percent = "<1%" if 0 < share < 0.01 else f"{share:.0%}"
    text = f"nothing found in {rounds:,} rounds of {threads} {who}, {percent} overlapped"
    return f"{text}\n({cut} of them ended by the time limit)" if cut else text


def _explored(coverages: Sequence[Coverage]) -> str:
    """What the controlled engine covered: one test in its own words, several added up."""
    if len(coverages) < 2:
        return "".join(f"nothing found: {coverage.text}" for coverage in coverages)
    seen = [coverage.interleavings for coverage in coverages if coverage.interleavings is not None]
    complete, schedules = sum(one.complete for one in seen), sum(coverage.rounds for coverage in coverages)
    text = f"nothing found in {schedules:,} controlled schedules; {complete} of {len(coverages)} tests: all interleavings"
    bounds = [one.within for one in seen if one.within > 0 and not one.complete]
    if bounds:
        text = f"{text}; {len(bounds)} more: all with at most {counted(min(bounds), 'preemption')}"
    listed = [one.candidates for one in seen if one.candidates is not None]
    if listed:
        text = f"{text}; {counted(sum(len(one.pairs) for one in listed), 'race candidate')}"
    notes = [
        (sum(one.timed for one in seen), "with sleeps or timeouts, which end only when nothing else can run"),
        (sum(one.left for one in seen), "with daemon threads that were still at work at the end"),
        (sum(one.cut > 0 for one in seen), "with schedules that were given up at a limit"),
        (sum(not one.deterministic for one in seen), "not deterministic"),
        (sum(one.uncontrolled > 0 for one in seen), "with threads that blocked outside of control"),
    ]
    return "\n".join([text, *(f"({number} of them {note})" for number, note in notes if number)])


def _finding(console: Console, report: RunReport, finding: Finding, number: int, where: Callable[[str], str]) -> None:
    first = where(finding.tests[0])
    console.print(Text.assemble((f"{number}. ", "bold"), (finding.verdict.value, f"bold {_style(finding.verdict)}"), "  ",
                                (first, "bold")), soft_wrap=True)  # fmt: skip
    rows: list[tuple[str, str]] = []
    if len(finding.tests) > 1:
        others = [where(test) for test in finding.tests[1:]]
        shown = others[:_TESTS_SHOWN] + (
            [f"... and {len(others) - _TESTS_SHOWN} more"] if len(others) > _TESTS_SHOWN else []
        )
        rows.append(("also", "\n".join(shown)))
    rows.append(("what", finding.headline))
    for group in finding.groups[:_TESTS_SHOWN]:
        if len(finding.groups) > 1:
            phase = "" if group.phase == "body" else f" (in {group.phase})"
            rows.append((f"{group.count} times", f"{group.headline}{phase}"))
        if group.location is not None:
            rows.append(("at", f"{_short(group.location.file)}:{group.location.line} in {group.location.function}"))
            if group.location.source:
                rows.append(("", f"    {group.location.source}"))
    if finding.detail and not finding.groups:
        outcome = finding.detail.partition("\n\n")[0]  # of an interleaving: all of it stands above, under FAILURES
        rows.append(("", outcome if finding.replay else "\n".join(_first_stacks(finding.detail))))
    if finding.coverage is not None:
        rows.append(("ran", finding.coverage.text))
    if finding.rate:
        rows.append(("rate", finding.rate))
    if finding.reliance is not None:
        rows.append(("GIL", "\n".join(filter(None, [finding.reliance.text, finding.reliance.rates]))))
    if again := report.again(first, finding.replay):
        rows.append(("again", again))
    labels = max(len(label) for label, _ in rows)
    for label, text in rows:
        for line in _wrapped(text, console.width - labels - 5) if label in _PROSE else text.splitlines() or [""]:
            console.print(Text.assemble((f"   {label:>{labels}}  ", "dim"), line), soft_wrap=True)
            label = ""


def _wrapped(text: str, width: int) -> list[str]:
    return [part for line in text.splitlines() for part in textwrap.wrap(line, max(width, 40)) or [""]]


def _first_stacks(detail: str, lines: int = 24) -> list[str]:
    """The Python stacks at the beginning of a long text; the whole is in pytest's own section for the failure."""
    all_lines = detail.partition("--- faulthandler")[0].rstrip().splitlines()
    kept = all_lines[:lines]
    return [*kept, f"... {len(all_lines) - lines} more lines above, under FAILURES"] if len(all_lines) > lines else kept


def _short(file: str) -> str:
    try:
        relative = os.path.relpath(file)
    except ValueError, OSError:  # no file name at all; the current folder was removed
        return file or "<code without a file>"
    return file if relative.startswith("..") else relative


def _not_checked(console: Console, report: RunReport) -> None:
    unchecked = [test for test in report.tests if test.verdict is Verdict.NOT_CHECKED]
    if not unchecked:
        return
    console.print()
    console.print(Text("not checked, because:", style="yellow"))
    reasons = Counter(test.reason for test in unchecked).most_common()
    for reason, number in reasons[:_REASONS_SHOWN]:
        console.print(Text(f"  {number:>4}  {reason}"), soft_wrap=True)
    if len(reasons) > _REASONS_SHOWN:
        console.print(f"        ... and {len(reasons) - _REASONS_SHOWN} more reasons")


def _every_test(console: Console, report: RunReport) -> None:
    console.print()
    width = max((len(test.verdict.value) for test in report.tests), default=0)
    for test in report.tests:
        verdict = (f"{test.verdict.value:<{width}}", _style(test.verdict))
        console.print(Text.assemble(verdict, f"  {test.test}{_basis(test)}"), soft_wrap=True)


def _basis(test: TestVerdict) -> str:
    basis = test.reason or (test.coverage.text if test.coverage else "")
    return f"  ({basis})" if basis else ""

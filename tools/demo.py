"""``make demo``: what ftcheck finds, on this machine, in five acts.

1. Our unsafe sample extensions: each must be found; and which of them rely on the GIL.
2. Their corrected twins: none may be accused.
3. Three released packages with known bugs, by ordinary tests.
4. One more, explored: the interleaving that breaks it, step by step, and the release in which it is repaired.
5. The unmodified test suites of two well-kept packages: nothing may be found that is not explained in the catalogue.

It prints the commands it runs, so that each can be repeated by hand, and says at the end whether all was as expected
(exit status 0) or not (1).
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.real_world import packages  # noqa: E402  # the folder is no installed package
from bench.real_world.catalog import HERE, load  # noqa: E402
from bench.real_world.explored import FOLDER  # noqa: E402
from bench.real_world.run import run_case  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.markup import escape  # noqa: E402
from rich.syntax import Syntax  # noqa: E402
from rich.table import Table  # noqa: E402

from ftcheck.report.json_report import from_json  # noqa: E402

EXPLORED = "ua_parser_cache"
BUGS = ("regex_shared_pattern", "dateutil_rrule_deadlock", "factory_boy_sequence")
SUITES = ("markupsafe", "iniconfig")
PROGRESS = re.compile(r"\[gw\d+\] \[ *\d+%\] (?P<verdict>.+?) ext_samples/\w+/(?P<sample>\w+)/")
SEPARATOR = re.compile(r"\n(?:\x1b\[[\d;]*m)*===")

Row = tuple[str, str, bool]


def main() -> int:
    """Play the five acts."""
    console = Console(highlight=False)
    os.environ["COLUMNS"] = str(console.width)  # for pytest, whose output goes through us
    began = time.monotonic()
    try:
        rows = [*samples(console), *released_bugs(console), *explored_bug(console), *suites(console)]
    except KeyboardInterrupt:
        console.print("\ninterrupted")
        return 130
    console.print(f"\n[bold cyan]==> All of it, in {time.monotonic() - began:.0f} seconds[/]\n")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for what, result, good in rows:
        table.add_row(what, result, "[green]as expected[/]" if good else "[bold red]NOT as expected[/]")
    console.print(table)
    console.print("\nNow your own tests: [bold].venv/bin/pytest --ftcheck[/]. The first steps are in README.md.")
    return 0 if all(good for _, _, good in rows) else 1


def act(console: Console, title: str, text: str, command: Sequence[str], where: Path = ROOT, path: str = "") -> None:
    """A heading, what is seen there, and the command as it would be typed."""
    console.print(f"\n[bold cyan]==> {title}[/]")
    console.print(f"{text}\n")
    go = "" if where == ROOT else f"cd {where.relative_to(ROOT)} && PYTHONPATH={os.path.relpath(path, where)} "
    pytest = os.path.relpath(ROOT / ".venv" / "bin" / "pytest", where)
    console.print(f"[dim]$ {escape(go)}{pytest} {escape(shlex.join(command))}[/]\n", soft_wrap=True)


def samples(console: Console) -> list[Row]:
    """Both halves of the corpus, a line for each sample as its verdict comes in."""
    wrong = dict(re.findall(r"(?m)^\| (\w+) \| [^|]+ \| ([^|]+?) \|", (ROOT / "ext_samples" / "README.md").read_text()))
    rows: list[Row] = []
    for kind, text in (
        ("unsafe", "Small C, Cython and cffi extensions with one flaw each. A verdict and a flaw per line:"),
        ("safe", "The same extensions with the flaw mended: a verdict that is not [green]passed[/] would be a false alarm."),
    ):
        report = packages.STORE / f"{kind}.json"
        words = ["--ftcheck", "--tb=no", f"--ftcheck-json={report.relative_to(ROOT)}", f"ext_samples/{kind}"]
        act(console, f"Sample extensions: {kind}", text, words)
        bad: dict[str, str] = {}
        seen, skipped = set(), set()
        program = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *words]
        with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if match := PROGRESS.match(line):
                    sample, verdict = match["sample"], match["verdict"].partition(" (")[0]
                    seen.add(sample)
                    if verdict == "SKIPPED":
                        skipped.add(sample)
                    elif verdict != "PASSED" and sample not in bad:
                        bad[sample] = verdict
                        flaw = f"[dim]{escape(wrong.get(sample, ''))}[/]"
                        console.print(f"  [red]{verdict:<14}[/]  {sample:<14}  {flaw}", soft_wrap=True)
        number = len(list((ROOT / "ext_samples" / kind).glob("*/test_*.py")))
        if kind == "unsafe":
            relying(console, report)
            inside = f", {len(skipped)} show only from the inside" if skipped else ""
            rows.append((f"{number} unsafe samples", f"{len(bad)} found{inside}", len(bad) + len(skipped) == number))
        else:
            rows.append((f"{number} safe samples", f"{len(seen) - len(bad)} passed", not bad and len(seen) == number))
        console.print(f"  {rows[-1][0]}: {rows[-1][1]}")
    return rows


def relying(console: Console, report: Path) -> None:
    """Which of the failing samples rely on the GIL, as the run's own report says."""
    kinds: dict[str, list[str]] = {}
    for finding in from_json(report.read_bytes(), str(report)).findings:
        if finding.reliance is not None:
            kinds.setdefault(finding.reliance.kind.value, []).append(Path(finding.tests[0].partition("::")[0]).parent.name)
    console.print("\n  Do they rely on the GIL? Each was run again alone, without and with it:")
    for kind, names in sorted(kinds.items(), key=lambda pair: -len(pair[1])):
        console.print(f"  [bold]{kind}[/]: {', '.join(sorted(names))}", soft_wrap=True)
    console.print()


def released_bugs(console: Console) -> list[Row]:
    """Known bugs of released packages: the test, and what ftcheck says of it."""
    known = {bug.name: bug for bug in load()[0]}
    rows = []
    for bug in (known[name] for name in BUGS):
        where = HERE / "cases" / bug.name
        act(
            console,
            f"A released bug: {bug.release} ({bug.kind})",
            "An ordinary test, and what ftcheck says of it:",
            ["--ftcheck", *bug.words],
            where,
            str(packages.STORE / bug.release.replace("==", "-")),
        )
        source = textwrap.indent(next(where.glob("test_*.py")).read_text(), "  ")
        console.print(Syntax("", "python", theme="ansi_light", background_color="default").highlight(source), soft_wrap=True)
        try:
            result, _ = run_case(bug, bug.release, *colour(console))
        except packages.Unavailable as error:
            console.print(f"not available: {escape(str(error))}")
            rows.append((bug.release, "not available", False))
            continue
        print(f"{summary_of(result.output)}\n")
        console.print(f"[dim]The cause: {escape(bug.why)} ({escape(bug.upstream or 'not reported upstream')})[/]")
        found = any(verdict in bug.verdicts for verdict in result.verdicts)
        rows.append((bug.release, counted(result.verdicts), found))
    return rows


def explored_bug(console: Console) -> list[Row]:
    """One of the explorer's: the interleaving that fails, and the same search on the repaired release."""
    bug = next(bug for bug in load()[1] if bug.name == EXPLORED)
    where, rows = FOLDER / bug.name, []
    words = ["--ftcheck", "--ftcheck-explore", f"--ftcheck-scope={','.join(bug.scope)}", "--ftcheck-seed=1", *bug.words]
    for release, expected in ((bug.release, bug.verdicts), (bug.fixed, ("passed",))):
        name = release.replace("==", "-")
        title = f"A released bug, explored: {release}" if release == bug.release else f"The repaired release: {release}"
        text = "One thread at a time, under control: one order of their operations after the other."
        act(console, title, text, words, where, str(packages.STORE / name))
        if release == bug.release:
            source = textwrap.indent(next(where.glob("test_*.py")).read_text(), "  ")
            syntax = Syntax("", "python", theme="ansi_light", background_color="default")
            console.print(syntax.highlight(source), soft_wrap=True)
        try:
            target = packages.install(name, [release])
        except packages.Unavailable as error:
            console.print(f"not available: {escape(str(error))}")
            rows.append((f"{release}, explored", "not available", False))
            continue
        result = packages.run_pytest([*words, *colour(console), "."], cwd=where, path=[target], log=f"demo-{name}")
        print(interleaving_of(result.output))
        print(f"{summary_of(result.output)}\n")
        good = bool(result.verdicts) and set(result.verdicts) <= set(expected)
        rows.append((f"{release}, explored", counted(result.verdicts), good))
    console.print(f"[dim]The cause: {escape(bug.why)} ({escape(bug.upstream)})[/]")
    return rows


def interleaving_of(output: str) -> str:
    """The interleaving in a run's output, without the heading of its section; empty where there is none."""
    _, found, rest = output.partition("- interleaving -")
    text = rest.partition("\n")[2].partition("- generated xml file")[0]
    return SEPARATOR.split(text, maxsplit=1)[0].rstrip().rstrip("-") if found else ""


def suites(console: Console) -> list[Row]:
    """Suites of real packages, as they are in their source distributions."""
    known = {suite.name: suite for suite in load()[2]}
    rows = []
    for suite in (known[name] for name in SUITES):
        release = f"{suite.name}-{suite.version}"
        words = ["--ftcheck", *suite.words, *suite.tests]
        try:
            place = packages.workplace(suite.name, suite.version, suite.copy)
            target = packages.install(release, [f"{suite.name}=={suite.version}", *suite.extra])
        except packages.Unavailable as error:
            console.print(f"not available: {escape(str(error))}")
            rows.append((f"suite of {release}", "not available", False))
            continue
        title = f"A whole test suite: {suite.name} {suite.version} ({suite.kind})"
        act(console, title, "Not one line of it was written for threads, or changed:", words, place, str(target))
        result = packages.run_pytest([*words, *colour(console)], cwd=place, path=[target], log=release)
        print(summary_of(result.output))
        unexplained = [test for test in result.findings if not suite.explanation(test)]
        rows.append((f"suite of {release}", counted(result.verdicts), bool(result.verdicts) and not unexplained))
    return rows


def colour(console: Console) -> tuple[str]:
    """For pytest, whose output is not a terminal even where ours is."""
    return (f"--color={'yes' if console.is_terminal and not console.no_color else 'no'}",)


def summary_of(output: str) -> str:
    """ftcheck's own part of a run's output, or its end where there is none."""
    _, found, rest = output.partition("= ftcheck =")
    text = rest.partition("\n")[2] if found else output[-1500:]
    return SEPARATOR.split(text, maxsplit=1)[0].rstrip()


def counted(verdicts: Mapping[str, int]) -> str:
    """``3 passed, 1 crash``."""
    most_first = sorted(verdicts.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{number} {verdict}" for verdict, number in most_first) or "nothing ran"


if __name__ == "__main__":
    sys.exit(main())

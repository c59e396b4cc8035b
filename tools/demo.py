"""``make demo``: what ftcheck finds, on this machine, in four acts.

1. Our unsafe sample extensions: each must be found.
2. Their corrected twins: none may be accused.
3. Three released packages with known bugs, by ordinary tests.
4. The unmodified test suites of two well-kept packages: nothing may be found.

It prints the commands it runs, so that each can be repeated by hand, and says at the end whether all was as expected
(exit status 0) or not (1).
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.real_world import packages  # noqa: E402  # the folder is no installed package
from bench.real_world.catalog import load  # noqa: E402
from bench.real_world.run import run_case  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

BUGS = ("regex_shared_pattern", "dateutil_rrule_deadlock", "regex_cache_eviction")
SUITES = ("markupsafe", "multidict")

Row = tuple[str, str, bool]


def main() -> int:
    """Play the four acts."""
    console = Console(highlight=False, soft_wrap=True)
    began = time.monotonic()
    rows: list[Row] = []
    try:
        rows.append(samples(console, "unsafe"))
        rows.append(samples(console, "safe"))
        rows += released_bugs(console)
        rows += suites(console)
    except KeyboardInterrupt:
        console.print("\ninterrupted")
        return 130
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("", "what was run", "what came out"):
        table.add_column(heading, overflow="fold")
    for what, result, good in rows:
        table.add_row("[green]as expected[/]" if good else "[red]NOT as expected[/]", what, result)
    console.print(f"\n[bold]In {time.monotonic() - began:.0f} seconds:[/]")
    console.print(table)
    console.print(
        "\nNext: [bold]docs/get-started.md[/], and `.venv/bin/pytest --ftcheck` on tests of your own."
    )
    return 0 if all(good for _, _, good in rows) else 1


def act(console: Console, title: str, words: Sequence[str], where: str = "") -> None:
    """A heading, and the command as it would be typed."""
    console.print(f"\n[bold cyan]==> {title}[/]")
    console.print(f"[dim]{f'(in {where}) ' if where else ''}$ {shlex.join(words)}[/]")


def samples(console: Console, kind: str) -> Row:
    """One half of the corpus; its output is shown as it comes."""
    titles = {"unsafe": "our unsafe sample extensions", "safe": "their corrected twins"}
    words = ["pytest", "--ftcheck", "--tb=no", "--no-header", "-p", "no:cacheprovider", f"ext_samples/{kind}"]
    act(console, titles[kind], words)
    number = sum(1 for path in (ROOT / "ext_samples" / kind).glob("*/test_*.py"))
    report = packages.STORE / f"demo-{kind}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    program = str(Path(sys.executable).with_name("pytest"))
    subprocess.run([program, *words[1:], f"--junitxml={report}"], cwd=ROOT, check=False)
    verdicts, findings = packages.read_junit(report)
    found = len({name.split("::")[0] for name in findings})
    what = f"{number} {kind} samples"
    if kind == "unsafe":
        return what, f"{found} of {number} found", found == number
    return what, counted(verdicts), not findings and verdicts.get("passed") == number


def released_bugs(console: Console) -> list[Row]:
    """Known bugs of released packages."""
    known = {bug.name: bug for bug in load()[0]}
    rows = []
    for bug in (known[name] for name in BUGS):
        words = ["pytest", "--ftcheck", *bug.words]
        act(
            console,
            f"{bug.release} ({bug.kind}): {bug.upstream}",
            words,
            f"bench/real_world/cases/{bug.name}",
        )
        try:
            result = run_case(bug, bug.release)
        except packages.Unavailable as error:
            rows.append((bug.release, f"not available: {error}", False))
            continue
        console.print(summary_of(result.output))
        rows.append(
            (
                bug.release,
                counted(result.verdicts),
                any(verdict in bug.verdicts for verdict in result.verdicts),
            )
        )
    return rows


def suites(console: Console) -> list[Row]:
    """Suites of real packages, as they are in their source distribution."""
    known = {suite.name: suite for suite in load()[1]}
    rows = []
    for suite in (known[name] for name in SUITES):
        release = f"{suite.name}-{suite.version}"
        words = ["--ftcheck", *suite.own, *suite.words, *suite.tests]
        act(
            console,
            f"the test suite of {release} ({suite.kind}), unmodified",
            ["pytest", *words],
            "its sdist",
        )
        try:
            source = packages.sdist(suite.name, suite.version)
            target = packages.install(release, [f"{suite.name}=={suite.version}", *suite.extra])
        except packages.Unavailable as error:
            rows.append((release, f"not available: {error}", False))
            continue
        result = packages.run_pytest(words, cwd=source, path=[target])
        console.print(summary_of(result.output))
        unexplained = [test for test in result.findings if not suite.explanation(test)]
        rows.append(
            (f"suite of {release}", counted(result.verdicts), bool(result.verdicts) and not unexplained)
        )
    return rows


def summary_of(output: str) -> str:
    """ftcheck's own part of a run's output, or its end where there is none."""
    _, found, rest = output.partition("= ftcheck =")
    text = rest.partition("\n")[2] if found else output[-1500:]
    return text.partition("\n===")[0].rstrip()


def counted(verdicts: dict[str, int]) -> str:
    """``3 passed, 1 crash``."""
    return (
        ", ".join(
            f"{number} {verdict}" for verdict, number in sorted(verdicts.items(), key=lambda pair: -pair[1])
        )
        or "nothing ran"
    )


if __name__ == "__main__":
    sys.exit(main())

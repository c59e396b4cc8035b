"""docs/real-world.md from the results and the catalogue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bench.real_world.catalog import Bug, Explored, Suite

_HEAD = """\
# Real packages

What ftcheck says of released packages from the package index: first of releases with a known thread-safety bug, then of
such bugs in Python code that the explorer finds, then of extensions that were built to be watched from the inside, then of
whole test suites that nobody wrote for threads. {interpreter}.

`make real` does all of it again and writes this page; do not edit it. `make real NAMES="regex_shared_pattern msgpack"`
does single rows. What every run printed is then in `build/real/log/`.
"""


def render(
    outcome: dict[str, Any],
    bugs: Sequence[Bug],
    explored: Sequence[Explored],
    suites: Sequence[Suite],
    native: str = "",
) -> str:
    """The page as Markdown.

    :param native: the section that ``native_page`` makes.
    """
    rows = outcome["rows"]
    ran = {name for name, row in rows.items() if "unavailable" not in row}
    parts = [
        _HEAD.format(interpreter=outcome["interpreter"]),
        _bugs([(bug, rows[bug.name]) for bug in bugs if bug.name in ran]),
        _explored([(bug, rows[f"explored/{bug.name}"]) for bug in explored if f"explored/{bug.name}" in ran]),
        *([native] if native else []),
        _suites([(suite, rows[suite.name]) for suite in suites if suite.name in ran]),
    ]
    every = [*(bug.name for bug in bugs), *(f"explored/{bug.name}" for bug in explored), *(suite.name for suite in suites)]
    missing = [name for name in every if name not in ran]
    if missing:
        big = {suite.name: suite.left_out or "a big suite: only when it is named" for suite in suites if suite.big}
        why = {name: rows.get(name, {}).get("unavailable", big.get(name, "not run yet")) for name in missing}
        parts.append("## Not run\n\n" + "\n".join(f"- {name}: {text}" for name, text in why.items()) + "\n")
    return "\n".join(parts)


def _bugs(rows: Sequence[tuple[Bug, Mapping[str, Any]]]) -> str:
    found = sum(row["found"] for _, row in rows)
    controls = [row for _, row in rows if "good" in row]
    clean = sum(row["clean"] for row in controls)
    lines = [
        "## Bugs in released packages",
        "",
        f"Each is an ordinary test in `bench/real_world/cases/`: {found} of {len(rows)} were found. The same test on a "
        f"release without the bug, where there is one, is the control: {clean} of {len(controls)} passed. The options are "
        "those that were given besides `--ftcheck`.",
        "",
        "| test | release | language | verdict | without the bug | options |",
        "|---|---|---|---|---|---|",
    ]
    for bug, row in rows:
        verdict = _said(row["bad"]) if row["found"] else f"**not found**: {_said(row['bad'])}"
        good = f"{bug.fixed.partition('==')[2]}: {_said(row['good'])}" if "good" in row else "no such release"
        options = " ".join(f"`{word}`" for word in bug.words)
        if bug.runs > 1:
            options += f"{', ' if options else ''}up to {bug.runs} processes"
        lines.append(f"| [{bug.name}](#{bug.name}) | {bug.release} | {bug.kind} | {verdict} | {good} | {options} |")
    lines.append("")
    for bug, row in rows:
        lines += [f"### {bug.name}", "", bug.why.strip(), ""]
        if row["bad"]["headline"]:
            lines += ["```text", row["bad"]["headline"], "```", ""]
        lines += [f"Upstream: {bug.upstream or 'no report was found'}.", ""]
    return "\n".join(lines)


def _explored(rows: Sequence[tuple[Explored, Mapping[str, Any]]]) -> str:
    found = sum(row["found"] for _, row in rows)
    again = sum(bool(row["replayed"]) for _, row in rows)
    controls = [row for _, row in rows if row["clean"] is not None]
    clean = sum(row["clean"] for row in controls)
    lines = [
        "## Bugs in Python code, explored",
        "",
        "Each is an ordinary test in `bench/real_world/explored/`: one call in each of two threads. It is "
        "[explored](explore.md) with `--ftcheck --ftcheck-explore --ftcheck-scope=PACKAGE`, at the default budget of 400 "
        f"schedules: {found} of {len(rows)} were found, and {again} of {found} came back in a fresh process by their token. "
        f"The same test on a release without the bug, where there is one: {clean} of {len(controls)} passed.",
        "",
        "| test | release | scope | verdict | schedule | preemptions | replayed | without the bug |",
        "|---|---|---|---|--:|--:|---|---|",
    ]
    for bug, row in rows:
        fixed = f"{bug.fixed.partition('==')[2]}: {row['fixed']} ({row['coverage']})" if bug.fixed else "no such release"
        place = f"[{bug.name}](#{bug.name}-explored) | {bug.release} | {', '.join(bug.scope)}"
        if not row["found"]:
            lines.append(f"| {place} | **not found**: {row['verdict']} | | | | {fixed} |")
            continue
        numbers = f"{row['schedules']} | {row['preemptions']} | {'yes' if row['replayed'] else '**no**'}"
        lines.append(f"| {place} | {row['verdict']} | {numbers} | {fixed} |")
    lines.append("")
    for bug, row in rows:
        lines += [f"### {bug.name}, explored", "", bug.why.strip(), ""]
        if row["found"]:
            lines += ["```text", row["headline"], "```", ""]
        lines += [f"Upstream: {bug.upstream or 'no report was found'}.", ""]
    return "\n".join(lines)


def _said(run: Mapping[str, Any]) -> str:
    """What the only test of a case got; where several processes were needed, how many there were."""
    text = ", ".join(run["verdicts"]) or "nothing ran"
    return f"{text} ({run['runs']} processes)" if run["runs"] > 1 else text


def _suites(rows: Sequence[tuple[Suite, Mapping[str, Any]]]) -> str:
    lines = [
        "## Test suites as they are",
        "",
        "The suite in the package's source distribution, not one line changed, against the installed release, under "
        "`pytest --ftcheck`. What fails without ftcheck as well is left out. *Not checked* is what cannot be rerun in "
        "threads (it uses `monkeypatch`, `capsys` ...), or whose threads never overlapped. Seconds: under ftcheck, and of "
        "plain pytest.",
        "",
    ]
    for limits, some in _by_limits(rows).items():
        options = " ".join(f"`{word}`" for word in limits)
        lines += [
            f"With {options}, because each has many tests:" if limits else "At default settings:",
            "",
            *_table(some),
            "",
        ]
    tests, spent = sum(sum(row["verdicts"].values()) for _, row in rows), sum(row["seconds"]["ftcheck"] for _, row in rows)
    found = sum(len(row["findings"]) for _, row in rows)
    lines += [
        f"Together: {len(rows)} suites, {tests:,} tests, {found} findings, {spent / 60:.0f} minutes.",
        "",
        "### Every finding, and whose it is",
        "",
        *(_explained(rows) or ["There is none."]),
        "",
        "### Options, in both runs",
        "",
        *(f"- **{suite.name}**: `{' '.join(suite.words)}`: {suite.why_words}." for suite, _ in rows if suite.words),
        "",
    ]
    return "\n".join(lines)


def _by_limits(
    rows: Sequence[tuple[Suite, Mapping[str, Any]]],
) -> dict[tuple[str, ...], list[tuple[Suite, Mapping[str, Any]]]]:
    """The suites by how much was run of each test, those at default settings first."""
    found: dict[tuple[str, ...], list[tuple[Suite, Mapping[str, Any]]]] = {}
    for suite, row in rows:
        found.setdefault(suite.limits, []).append((suite, row))
    return dict(sorted(found.items()))


def _table(rows: Sequence[tuple[Suite, Mapping[str, Any]]]) -> list[str]:
    total: Counter[str] = Counter()
    lines = [
        "| package | language | tests | passed | not checked | skipped | findings | seconds | plain |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for suite, row in rows:
        total.update(row["verdicts"])
        seconds = f"{row['seconds']['ftcheck']:.0f} | {row['seconds']['plain']:.0f}"
        lines.append(f"| {suite.name} {suite.version} | {suite.kind} | {_cells(row['verdicts'])} | {seconds} |")
    spent = [sum(row["seconds"][key] for _, row in rows) for key in ("ftcheck", "plain")]
    return [*lines, f"| **{len(rows)} suites** | | {_cells(total)} | {spent[0]:.0f} | {spent[1]:.0f} |"]


def _explained(rows: Sequence[tuple[Suite, Mapping[str, Any]]]) -> list[str]:
    lines = []
    for suite, row in rows:
        by_reason: dict[str, list[str]] = {}
        for test, finding in row["findings"].items():
            reason = suite.explanation(test) or "**not explained yet**"
            by_reason.setdefault(reason, []).append(f"`{test}` ({finding['verdict']})")
        for reason, tests in by_reason.items():
            shown = ", ".join(tests[:4]) + (f" and {len(tests) - 4} more" if len(tests) > 4 else "")
            lines.append(f"- **{suite.name}**: {reason} {shown}")
    return lines


def _cells(verdicts: Mapping[str, int]) -> str:
    harmless = ("passed", "not checked", "skipped")
    findings = ", ".join(f"{number} {verdict}" for verdict, number in verdicts.items() if verdict not in harmless)
    numbers = [f"{verdicts.get(verdict, 0):,}" for verdict in harmless]
    return " | ".join([f"{sum(verdicts.values()):,}", *numbers, findings or "0"])

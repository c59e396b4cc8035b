"""docs/real-world.md from the results and the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.real_world.catalog import Bug, Suite

_HEAD = """\
# Real packages

Written by `make real` (`python -m bench.real_world.run --write`); do not edit. {interpreter}.

Any row can be repeated alone: `make real NAMES=regex_shared_pattern`.
"""


def render(outcome: dict[str, Any], bugs: Sequence[Bug], suites: Sequence[Suite]) -> str:
    """The page as Markdown."""
    parts = [_HEAD.format(interpreter=outcome["interpreter"]), _bugs(outcome["bugs"], {bug.name: bug for bug in bugs})]
    parts.append(_suites(outcome["suites"], {suite.name: suite for suite in suites}))
    if outcome["unavailable"]:
        rows = [f"- {row['name']}: {row['why']}" for row in outcome["unavailable"]]
        parts.append("## Not run\n\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _bugs(rows: Sequence[dict[str, Any]], known: dict[str, Bug]) -> str:
    lines = [
        "## Bugs in released packages",
        "",
        "Each is an ordinary test in `bench/real_world/cases/`, run with `pytest --ftcheck` at default settings.",
        "",
        "| test | release | language | verdict | fixed release |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        bug = known[row["name"]]
        verdict = _counts(row["bad"]["verdicts"]) if row["found"] else f"**not found** ({_counts(row['bad']['verdicts'])})"
        good = f"{bug.fixed}: {_counts(row['good']['verdicts'])}" if "good" in row else "none"
        lines.append(f"| {bug.name} | {bug.release} | {bug.kind} | {verdict} | {good} |")
    lines.append("")
    for row in rows:
        bug = known[row["name"]]
        lines += [f"### {bug.name}", "", bug.why.strip(), ""]
        if row["bad"]["headline"]:
            lines += ["```text", row["bad"]["headline"], "```", ""]
        lines += [f"Upstream: {bug.upstream or 'no report was found.'}", ""]
    return "\n".join(lines)


def _suites(rows: Sequence[dict[str, Any]], known: dict[str, Suite]) -> str:
    lines = [
        "## Test suites as they are",
        "",
        "The unmodified suite of the package's sdist, under `pytest --ftcheck` at default settings. *Plain* is the same "
        "suite without ftcheck: what fails there is not counted here.",
        "",
        "| package | language | plain | under ftcheck | seconds (plain) |",
        "|---|---|---|---|--:|",
    ]
    for row in rows:
        seconds = f"{row['seconds']['ftcheck']} ({row['seconds']['plain']})"
        name = f"{row['name']} {row['version']}"
        kind = known[row["name"]].kind
        lines.append(f"| {name} | {kind} | {_counts(row['plain'])} | {_counts(row['verdicts'])} | {seconds} |")
    lines += ["", "### Every verdict that is not *passed* or *not checked*, and whose it is", ""]
    for row in rows:
        by_reason: dict[str, list[str]] = {}
        for test, finding in row["findings"].items():
            by_reason.setdefault(finding["explained"] or "**not explained yet**", []).append(test)
        for reason, tests in by_reason.items():
            shown = ", ".join(f"`{test}`" for test in tests[:4]) + (f" and {len(tests) - 4} more" if len(tests) > 4 else "")
            lines.append(f"- **{row['name']}**: {shown}: {reason}")
    return "\n".join([*lines, ""])


def _counts(verdicts: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {verdict}" for verdict, number in sorted(verdicts.items(), key=lambda pair: -pair[1]))

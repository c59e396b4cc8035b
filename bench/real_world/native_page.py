"""The section of docs/real-world.md on extensions that were built with ``ftcheck-cc``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.real_world.native_catalog import Extension

_HEAD = """\
## Extensions from the inside

Built by `ftcheck-cc` from the sdists of the package index, not one line changed, and run under
`pytest --ftcheck --ftcheck-threads=2 --ftcheck-rounds=5 --ftcheck-seed=1` (where a row says so, with further options).
{interpreter}. `python -m bench.real_world.native --write` does it again and writes this section;
`python -m bench.real_world.native NAME` does a single row. What each run printed is in `build/real/log/`.
"""

type _Rows = Sequence[tuple[Extension, Mapping[str, Any]]]


def section(outcome: Mapping[str, Any], extensions: Sequence[Extension]) -> str:
    """The section as Markdown; empty where nothing was run yet."""
    rows = [(one, outcome["rows"][one.key]) for one in extensions if one.key in outcome["rows"]]
    if not rows:
        return ""
    ran = [(one, row) for one, row in rows if "unavailable" not in row]
    kept = [(one, row) for one, row in ran if one.expect == "nothing"]
    mutants = [(one, row) for one, row in ran if one.header]
    bugs = [(one, row) for one, row in ran if one.expect == "races" and not one.header]
    parts = [_HEAD.format(interpreter=outcome["interpreter"]), *_kept(kept), *_mutants(mutants), *_bugs(bugs)]
    if missing := [f"- {one.key}: {row['unavailable']}" for one, row in rows if "unavailable" in row]:
        parts += ["### Not built", "", *missing, ""]
    return "\n".join(parts)


def _kept(rows: _Rows) -> list[str]:
    reports = sum(len(row["races"]) for _, row in rows)
    lines = [
        "### Well-kept extensions",
        "",
        f"Their own concurrent tests, or a case of ours in `bench/real_world/cases/native/`: {len(rows)} extensions, "
        f"{sum(row['rounds'] for _, row in rows)} rounds, {reports} reports.",
        "",
        "| package | language | modules | compiler | tests | verdicts | rounds (overlapped) | reports |",
        "|---|---|--:|---|---|---|--:|--:|",
    ]
    for one, row in rows:
        tests, reports = "its own" if one.tests else "ours", len(row["races"])
        lines.append(
            f"| {one.name} {one.version}{' (`PYTHON_GIL=0`)' if one.gil else ''} | {one.kind} | {row['modules']} "
            f"| {row['compiler']} | {tests} | {_verdicts(row)} | {row['rounds']} ({row['overlapped']}) | {reports} |"
        )
    lines.append("")
    for one, row in rows:
        options = f" Options: `{' '.join(one.words)}`." if one.words else ""
        variables = f" Variables: `{' '.join(f'{a}={b}' for a, b in one.environment.items())}`." if one.environment else ""
        lines.append(f"- **{one.name}**: {one.why}{options}{variables}")
        lines += _explained(one, row["races"])
        lines += [f"    - {other}: {one.explanation(other) or '**not explained yet**'}" for other in row["others"]]
    return [*lines, ""]


def _explained(one: Extension, races: Mapping[str, str]) -> list[str]:
    """Each explanation, with how many reports it is of and what the first are."""
    by_reason: dict[str, list[str]] = {}
    for race, said in races.items():
        by_reason.setdefault(one.explanation(race, said) or "**not explained yet**", []).append(race)
    lines = []
    for reason, some in by_reason.items():
        more = f" and {len(some) - 2} more" if len(some) > 2 else ""
        lines.append(f"    - {'; '.join(some[:2])}{more}: {reason}")
    return lines


def _mutants(rows: _Rows) -> list[str]:
    lines = [
        "### Mutants",
        "",
        "The same sdists, built with one more compiler option: `-include` of a header that makes the locks nothing. The "
        "same tests on the build without it are among the rows above. Distinct: other lines, or other kinds of access.",
        "",
        "| mutant | what is taken away | header | verdicts | distinct races |",
        "|---|---|---|---|--:|",
    ]
    for one, row in rows:
        lines.append(f"| {one.name} {one.version} | {one.why} | `{one.header}` | {_verdicts(row)} | {len(row['races'])} |")
    for one, row in rows:
        lines += ["", f"{one.name}, the first five:", "", "```text", *list(row["races"])[:5], "```"]
    return [*lines, ""]


def _bugs(rows: _Rows) -> list[str]:
    lines = [
        "### Bugs in released extensions",
        "",
        "Found from the inside, in the newest release that the index has; each test is in `bench/real_world/cases/native/`.",
        "",
    ]
    for one, row in rows:
        lines += [f"#### {one.name} {one.version}: {one.key}", "", one.why, ""]
        lines += [f"{_verdicts(row)} in {row['rounds']} rounds; {len(row['races'])} distinct races:", ""]
        lines += ["```text", *list(row["races"].values())[:1], "```", ""]
        more = list(row["races"])[1:9]
        lines += [*(["```text", *more, "```", ""] if more else [])]
        lines += [f"Upstream: {one.upstream or 'no report was found'}.", ""]
    return lines


def _verdicts(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{number} {verdict}" for verdict, number in row["verdicts"].items()) or "nothing ran"

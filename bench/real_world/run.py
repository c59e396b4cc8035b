"""``make real``: every entry of the catalogue under ftcheck, and docs/real-world.md from what came out.

    python -m bench.real_world.run [NAME ...] [--write] [--list]

A bug entry is run on the release that has the bug and, where there is one, on a release that has not. A suite entry runs
the package's own tests, first as they are, then under ``--ftcheck``: what fails already without ftcheck is not counted
against anyone. Only ``--write`` (all entries) changes the page and ``results/real_world.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from bench.real_world import packages, page
from bench.real_world.catalog import HERE, Bug, Suite, load
from bench.real_world.packages import ROOT, Result, Unavailable
from ftcheck import interpreter

_ON = ("--ftcheck",)
_RESULTS = ROOT / "bench" / "results" / "real_world.json"


def try_bug(bug: Bug) -> dict[str, Any]:
    """One bug entry: what ftcheck says of the release with the bug, and of the one without."""
    row: dict[str, Any] = {"name": bug.name, "release": bug.release}
    for key, requirement in (("bad", bug.release), ("good", bug.fixed)):
        if requirement:
            result = run_case(bug, requirement)
            row[key] = {"requirement": requirement, "verdicts": result.verdicts, "headline": _headline(result)}
    row["found"] = any(verdict in bug.verdicts for verdict in row["bad"]["verdicts"])
    row["clean"] = set(row["good"]["verdicts"]) <= {"passed"} if "good" in row else None
    return row


def run_case(bug: Bug, requirement: str) -> Result:
    """The test of a bug on one release."""
    target = packages.install(requirement.replace("==", "-").replace(" ", "+"), requirement.split())
    return packages.run_pytest([*_ON, *bug.words, "."], cwd=HERE / "cases" / bug.name, path=[target])


def try_suite(suite: Suite) -> dict[str, Any]:
    """One suite entry: plain pytest, then ftcheck."""
    source = packages.sdist(suite.name, suite.version)
    release = f"{suite.name}-{suite.version}"
    target = packages.install(release, [f"{suite.name}=={suite.version}", *suite.extra])
    words = [*suite.words, *suite.tests]
    began = time.monotonic()
    plain = packages.run_pytest(["--no-ftcheck", *words], cwd=source, path=[target])
    middle = time.monotonic()
    checked = packages.run_pytest([*_ON, *suite.own, *words], cwd=source, path=[target])
    rows = {
        test: {"verdict": verdict, "headline": headline, "explained": suite.explanation(test)}
        for test, (verdict, headline) in checked.findings.items()
        if test not in plain.findings
    }
    return {
        "name": suite.name,
        "version": suite.version,
        "plain": plain.verdicts,
        "verdicts": checked.verdicts,
        "status": checked.status,
        "findings": rows,
        "seconds": {"plain": round(middle - began, 1), "ftcheck": round(time.monotonic() - middle, 1)},
        "tail": "" if checked.verdicts else checked.output[-2000:],
    }


def _headline(result: Result) -> str:
    return next((headline for _, headline in result.findings.values()), "") or (
        "" if result.verdicts else result.output[-500:]
    )


def main() -> int:
    """Run the entries; exit status 1 when a bug was not found, a clean release accused, or a failure unexplained."""
    parser = argparse.ArgumentParser(prog="python -m bench.real_world.run", description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", help="entries of the catalogue (default: all)")
    parser.add_argument("--write", action="store_true", help="write docs/real-world.md and the JSON results")
    parser.add_argument("--list", action="store_true", help="list the entries")
    asked = parser.parse_args()
    bugs, suites = load()
    if asked.list:
        print("\n".join([f"{bug.name}  (bug in {bug.release})" for bug in bugs]))
        print("\n".join([f"{suite.name}  (suite of {suite.version}, {suite.kind})" for suite in suites]))
        return 0
    known = {bug.name for bug in bugs} | {suite.name for suite in suites}
    unknown = sorted(set(asked.names) - known)
    if unknown:
        parser.error(f"no such entry: {', '.join(unknown)}; --list shows what there is")
    if asked.write and asked.names:
        parser.error("--write needs all entries: give no names")
    outcome: dict[str, Any] = {"interpreter": interpreter.describe(), "bugs": [], "suites": [], "unavailable": []}
    wanted: list[Bug | Suite] = [entry for entry in [*bugs, *suites] if not asked.names or entry.name in asked.names]
    for number, entry in enumerate(wanted, 1):
        print(f"[{number}/{len(wanted)}] {entry.name} ...", end=" ", flush=True)
        try:
            row = try_bug(entry) if isinstance(entry, Bug) else try_suite(entry)
        except Unavailable as error:
            outcome["unavailable"].append({"name": entry.name, "why": str(error)})
            print(f"not available: {error}")
            continue
        outcome["bugs" if isinstance(entry, Bug) else "suites"].append(row)
        print(_line(row))
    if asked.write:
        _RESULTS.write_text(json.dumps(outcome, indent=1, sort_keys=True) + "\n")
        (ROOT / "docs" / "real-world.md").write_text(page.render(outcome, bugs, suites))
    return 0 if all(map(_as_expected, [*outcome["bugs"], *outcome["suites"]])) and not outcome["unavailable"] else 1


def _line(row: dict[str, Any]) -> str:
    if "bad" in row:
        clean = {True: ", fixed release clean", False: ", FIXED RELEASE ACCUSED", None: ""}[row["clean"]]
        return ("found" if row["found"] else "NOT FOUND") + f" {row['bad']['verdicts']}{clean}"
    unexplained = [test for test, finding in row["findings"].items() if not finding["explained"]]
    text = f"{row['verdicts']} in {row['seconds']['ftcheck']} s (plain {row['seconds']['plain']} s)"
    return text + (f"; UNEXPLAINED: {', '.join(unexplained[:5])}" if unexplained else "") + row["tail"]


def _as_expected(row: dict[str, Any]) -> bool:
    if "bad" in row:
        return bool(row["found"]) and row["clean"] is not False
    return bool(row["verdicts"]) and all(finding["explained"] for finding in row["findings"].values())


if __name__ == "__main__":
    sys.exit(main())

"""``make real``: every entry of the catalogue under ftcheck, and docs/real-world.md from what came out.

    python -m bench.real_world.run [NAME ...] [--all] [--write | --page | --list]

A bug entry is run on the release that has the bug and, where there is one, on a release that has not. An explored entry is
a bug that the explorer finds (``explored.py``). A suite entry runs the package's own tests, first as they are, then under
``--ftcheck``: what fails already without ftcheck is not counted against anyone. ``--write`` puts what came out into
``results/real_world.json`` and the page.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from bench.real_world import native_catalog, native_page, packages, page
from bench.real_world.catalog import HERE, Bug, Explored, Suite, load
from bench.real_world.explored import try_explored
from bench.real_world.packages import ROOT, Result, Unavailable
from ftcheck import interpreter

_ON = ("--ftcheck",)
_RESULTS = ROOT / "bench" / "results" / "real_world.json"
NATIVE = ROOT / "bench" / "results" / "real_native.json"
"""Of extensions from the inside: ``native.py`` writes it."""


def try_bug(bug: Bug) -> dict[str, Any]:
    """One bug entry: what ftcheck says of the release with the bug, and of the one without."""
    row: dict[str, Any] = {}
    for key, requirement in (("bad", bug.release), ("good", bug.fixed)):
        if requirement:
            result, runs = run_case(bug, requirement)
            row[key] = {"verdicts": result.verdicts, "runs": runs, "headline": _headline(result)}
    row["found"] = any(verdict in bug.verdicts for verdict in row["bad"]["verdicts"])
    row["clean"] = set(row["good"]["verdicts"]) == {"passed"} if "good" in row else None
    return row


def run_case(bug: Bug, requirement: str, *more: str) -> tuple[Result, int]:
    """The test of a bug on one release: the first run that finds something, else the last, and how many there were.

    :param more: further options for pytest.
    """
    target = packages.install(requirement.replace("==", "-"), [requirement])
    runs, result = 0, Result(0, "")
    while runs < bug.runs and set(result.verdicts) <= {"passed"}:
        runs += 1
        result = packages.run_pytest(
            [*_ON, *bug.words, *more, "."], cwd=HERE / "cases" / bug.name, path=[target], log=f"{bug.name}-{requirement}"
        )
    return result, runs


def try_suite(suite: Suite) -> dict[str, Any]:
    """One suite entry: plain pytest, then ftcheck."""
    release = f"{suite.name}-{suite.version}"
    place = packages.workplace(suite.name, suite.version, suite.copy)
    target = packages.install(release, [f"{suite.name}=={suite.version}", *suite.extra])
    words = [*suite.words, *suite.tests]
    began = time.monotonic()
    plain = packages.run_pytest(["--no-ftcheck", *words], cwd=place, path=[target], log=f"{release}-plain")
    middle = time.monotonic()
    checked = packages.run_pytest([*_ON, *suite.limits, *words], cwd=place, path=[target], log=release)
    rows = {
        test: {"verdict": verdict, "headline": _short(headline), "explained": bool(suite.explanation(test))}
        for test, (verdict, headline) in checked.findings.items()
        if test not in plain.findings
    }
    return {
        "plain": plain.verdicts,
        "verdicts": checked.verdicts,
        "lost": plain.verdicts.total() - checked.verdicts.total(),
        "status": checked.status,
        "findings": rows,
        "seconds": {"plain": round(middle - began, 1), "ftcheck": round(time.monotonic() - middle, 1)},
        "tail": "" if checked.verdicts else checked.output[-2000:],
    }


def _headline(result: Result) -> str:
    first = next((headline for _, headline in result.findings.values()), "")
    return _short(first or ("" if result.verdicts else result.output[-500:]))


def _short(text: str) -> str:
    """Without the place where this checkout happens to be."""
    return text.replace(f"{ROOT}{os.sep}", "")


def main() -> int:
    """Run the entries; exit status 1 when a bug was not found, a clean release accused, or a failure unexplained."""
    parser = argparse.ArgumentParser(prog="python -m bench.real_world.run", description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", help="entries of the catalogue (default: all but the big suites)")
    parser.add_argument("--write", action="store_true", help="put the new results into the JSON file and the page")
    parser.add_argument("--page", action="store_true", help="only write the page again, from the results that are there")
    parser.add_argument("--all", action="store_true", help="the big suites as well")
    parser.add_argument("--list", action="store_true", help="list the entries")
    asked = parser.parse_args()
    bugs, explored, suites = load()
    every: list[Entry] = [*bugs, *explored, *suites]
    entries = {_key(entry): entry for entry in every}
    if asked.list:
        print("\n".join(f"{name}  ({_release(entry)}, {entry.kind})" for name, entry in entries.items()))
        return 0
    if unknown := sorted(set(asked.names) - set(entries)):
        parser.error(f"no such entry: {', '.join(unknown)}; --list shows what there is")
    if asked.page:
        write({})
        return 0
    usual = [entry for entry in entries.values() if asked.all or not isinstance(entry, Suite) or not entry.big]
    wanted = [entries[name] for name in asked.names] or usual
    good = True
    for number, entry in enumerate(wanted, 1):
        print(f"[{number}/{len(wanted)}] {_key(entry)} ({_release(entry)}) ...", end=" ", flush=True)
        try:
            row = _try(entry)
        except Unavailable as error:
            row = {"unavailable": str(error)}
        print(_line(row), flush=True)
        good &= _as_expected(row)
        if asked.write:  # after each, so that an interrupted run is not lost
            write({_key(entry): {"release": _release(entry), **row}})
    return 0 if good else 1


type Entry = Bug | Explored | Suite


def _try(entry: Entry) -> dict[str, Any]:
    match entry:
        case Bug():
            return try_bug(entry)
        case Explored():
            return try_explored(entry)
        case Suite():
            return try_suite(entry)


def _key(entry: Entry) -> str:
    """Its name among all: a bug may be there for both engines."""
    return f"explored/{entry.name}" if isinstance(entry, Explored) else entry.name


def write(new: Mapping[str, Any]) -> None:
    """Put new rows into the results, drop those of releases that are not in the catalogue any more, write the page."""
    rows: dict[str, Any] = json.loads(_RESULTS.read_text())["rows"] if _RESULTS.exists() else {}
    rows |= new
    bugs, explored, suites = load()
    every: list[Entry] = [*bugs, *explored, *suites]
    rows = {_key(entry): rows[_key(entry)] for entry in every if _current(entry, rows)}
    outcome = {"interpreter": interpreter.describe(), "rows": rows}
    _RESULTS.parent.mkdir(exist_ok=True)
    _RESULTS.write_text(json.dumps(outcome, indent=1) + "\n")
    (ROOT / "docs").mkdir(exist_ok=True)
    native = json.loads(NATIVE.read_text()) if NATIVE.exists() else {"rows": {}}
    section = native_page.section(native, native_catalog.load())
    (ROOT / "docs" / "real-world.md").write_text(page.render(outcome, bugs, explored, suites, section))


def _current(entry: Entry, rows: Mapping[str, Any]) -> bool:
    return _key(entry) in rows and rows[_key(entry)]["release"] == _release(entry)


def _release(entry: Entry) -> str:
    return f"{entry.name}=={entry.version}" if isinstance(entry, Suite) else entry.release


def _line(row: Mapping[str, Any]) -> str:
    if "unavailable" in row:
        return f"not available: {row['unavailable']}"
    if "replayed" in row:
        clean = {True: ", fixed release clean", False: f", FIXED RELEASE: {row.get('fixed')}", None: ""}[row["clean"]]
        again = ", replayed" if row["replayed"] else ", NOT REPLAYED"
        return f"found: {row['headline']}{again}{clean}" if row["found"] else f"NOT FOUND: {row['verdict']}{clean}"
    if "bad" in row:
        clean = {True: ", fixed release clean", False: ", FIXED RELEASE ACCUSED", None: ""}[row["clean"]]
        runs = f" in run {row['bad']['runs']}" if row["bad"]["runs"] > 1 else ""
        return ("found" if row["found"] else "NOT FOUND") + f": {_words(row['bad']['verdicts'])}{runs}{clean}"
    unexplained = [test for test, finding in row["findings"].items() if not finding["explained"]]
    text = f"{_words(row['verdicts'])} in {row['seconds']['ftcheck']} s (plain {row['seconds']['plain']} s)"
    if row["lost"]:
        text += f"; {row['lost']} TESTS LOST"
    if unexplained:
        text += f"; UNEXPLAINED: {', '.join(unexplained[:5])}"
    return f"{text}{row['tail']}"


def _words(verdicts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {verdict}" for verdict, number in verdicts.items()) or "nothing ran"


def _as_expected(row: Mapping[str, Any]) -> bool:
    if "unavailable" in row:
        return False
    if "replayed" in row:
        return bool(row["replayed"]) and row["clean"] is not False and row["preemptions"] <= 2
    if "bad" in row:
        return bool(row["found"]) and row["clean"] is not False
    whole = row["status"] in (0, 1) and not row["lost"] and bool(row["verdicts"])
    return whole and all(finding["explained"] for finding in row["findings"].values())


if __name__ == "__main__":
    sys.exit(main())

"""Known bugs of pure-Python releases, found by exploring an ordinary test: the explorer's side of ``make real``.

Three runs, each in a process of its own. The release with the bug is explored until a schedule fails; that schedule is run
again by its token; and the release without the bug, where there is one, is explored as well. The test is one call in each of
two threads, since what a loop is needed for in the parallel engine (to meet at the right moment) is done here on purpose.
"""

from __future__ import annotations

import json
from typing import Any

from bench.real_world import packages
from bench.real_world.catalog import HERE, Explored
from ftcheck.coverage import coverage_from_plain

FOLDER = HERE / "explored"
_ON = ("--ftcheck", "--ftcheck-explore", "--ftcheck-seed=1")


def try_explored(bug: Explored) -> dict[str, Any]:
    """One entry: what was found, whether it came back, and what the explorer says of the release without the bug."""
    found, tests = run_explored(bug, bug.release, *_ON, *bug.words)
    finding = next((one for one in found["findings"] if one["verdict"] in bug.verdicts), None)
    row: dict[str, Any] = {"found": finding is not None, "verdict": _verdict(tests), "replayed": None, "clean": None}
    if finding is not None:
        token = finding["replay"]
        row |= {"headline": finding["headline"], "token": token, "schedules": finding["coverage"]["rounds"]}
        row["preemptions"] = token.partition("~")[2].count("p")
        again, _ = run_explored(bug, bug.release, *bug.words, f"--ftcheck-replay={token}", log="replay")
        row["replayed"] = [one["verdict"] for one in again["findings"]] == [finding["verdict"]] and (
            again["findings"][0]["headline"].endswith("(replayed)")
        )
    if bug.fixed:
        _, fixed = run_explored(bug, bug.fixed, *_ON, *bug.words)
        coverage = coverage_from_plain(fixed[0]["coverage"]) if fixed else None
        row |= {"clean": _verdict(fixed) == "passed", "fixed": _verdict(fixed)}
        row["coverage"] = coverage.text if coverage else ""
    return row


def run_explored(bug: Explored, requirement: str, *words: str, log: str = "explored") -> tuple[dict[str, Any], Any]:
    """The test of a bug on one release.

    :param words: options for pytest.
    :returns: the report as ``--ftcheck-json`` writes it, and the tests in it.
    :raises Unavailable: the release could not be installed, or pytest wrote no report.
    """
    target = packages.install(requirement.replace("==", "-"), [requirement])
    report = packages.STORE / "log" / f"{bug.name}-{requirement}-{log}.json"
    report.unlink(missing_ok=True)
    result = packages.run_pytest(
        [*words, f"--ftcheck-scope={','.join(bug.scope)}", f"--ftcheck-json={report}", "."],
        cwd=FOLDER / bug.name,
        path=[target],
        log=f"{bug.name}-{requirement}-{log}",
    )
    if not report.exists():
        raise packages.Unavailable(f"no report of {bug.name}: {result.output[-300:]}")
    data = json.loads(report.read_text())
    return data, data["tests"]


def _verdict(tests: Any) -> str:
    return ", ".join(test["verdict"] for test in tests) or "nothing ran"

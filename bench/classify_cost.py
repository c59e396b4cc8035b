"""What does it cost to classify failing tests?

A run with one failing test, and one with five, with and without classification. Interpreter starts are counted by a
``sitecustomize`` module, which each of them imports; the seconds are wall-clock. The reruns are part of the cost: each test
runs for up to a second in each of three ways.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

COUNTER = """
import os
with open(os.environ["FTCHECK_BENCH_STARTS"], "a") as file:
    file.write("x")
"""
TEST = """
class Counter:
    value = 0

counter_{0} = Counter()

def test_{0}():
    before = counter_{0}.value
    for _ in range(20_000):
        counter_{0}.value += 1
    assert counter_{0}.value >= before + 20_000
"""


def run_once(folder: Path, words: list[str]) -> tuple[int, float]:
    """Interpreter starts and seconds of one run."""
    starts = folder / "starts"
    starts.unlink(missing_ok=True)
    environment = os.environ | {"FTCHECK_BENCH_STARTS": str(starts), "PYTHONPATH": str(folder)}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    began = time.perf_counter()
    plugins = ["-p", "xdist", "-p", "ftcheck.plugin", "-p", "no:cacheprovider"]
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, "--ftcheck", *words],
        capture_output=True,
        check=False,
        env=environment,
        cwd=folder,
    )
    return len(starts.read_text()), time.perf_counter() - began


def run(repeats: int = 5) -> dict[str, Any]:
    """One and five failing tests."""
    rows = []
    for tests in (1, 5):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "sitecustomize.py").write_text(COUNTER)
            (folder / "test_counter.py").write_text("\n".join(TEST.format(number) for number in range(tests)))
            off = [run_once(folder, ["--ftcheck-classify=0"]) for _ in range(repeats)]
            on = [run_once(folder, []) for _ in range(repeats)]
        rows.append(
            {
                "tests": tests,
                "starts": statistics.median(count for count, _ in on) - statistics.median(count for count, _ in off),
                "seconds": round(statistics.median(s for _, s in on) - statistics.median(s for _, s in off), 2),
            }
        )
        print(json.dumps(rows[-1]), file=sys.stderr)
    return {"repeats": repeats, "rows": rows}


def table(result: dict[str, Any]) -> str:
    """The result as a Markdown table."""
    lines = ["| failing tests | more interpreter starts | more seconds |", "|--:|--:|--:|"]
    lines += [f"| {row['tests']} | {row['starts']:g} | {row['seconds']} |" for row in result["rows"]]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run()))

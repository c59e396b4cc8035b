"""What does the plugin cost where nobody asks for it? 500 trivial tests and 10,000 collected ones, with and without it.

CPU time (user and system) of the whole process, the two in turn, median of the ratios. The last row asks for reruns, so
that each test's markers are read while it is collected.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CASES = {
    "run 500 trivial tests": (500, []),
    "collect 10,000 tests": (10_000, ["--collect-only"]),
    "collect 10,000 tests, with --ftcheck": (10_000, ["--collect-only"]),
}


def cpu_seconds(words: list[str]) -> float:
    """CPU time of one pytest process."""
    before = os.times()
    subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words], capture_output=True, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def run(repeats: int = 7) -> dict[str, Any]:
    """Each case with the plugin installed but not asked for, against ``-p no:ftcheck``."""
    rows = []
    for name, (tests, words) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "test_many.py")
            file.write_text("\n".join(f"def test_{number}(): assert {number} == {number}" for number in range(tests)))
            plain, installed, ratios = [], [], []
            for _ in range(repeats):
                plain.append(cpu_seconds([*words, "-p", "no:ftcheck", "-p", "no:run-parallel", str(file)]))
                on = ["--ftcheck"] if "--ftcheck" in name else []
                installed.append(cpu_seconds([*words, *on, "-p", "no:run-parallel", str(file)]))
                ratios.append(installed[-1] / plain[-1])
        row = {
            "case": name,
            "plain": round(statistics.median(plain), 3),
            "installed": round(statistics.median(installed), 3),
            "ratio": round(statistics.median(ratios), 3),
            "ratios": [round(min(ratios), 3), round(max(ratios), 3)],
        }
        rows.append(row)
        print(json.dumps(row), file=sys.stderr)
    return {"repeats": repeats, "rows": rows}


def table(result: dict[str, Any]) -> str:
    """The result as a Markdown table."""
    lines = ["| | plain pytest, CPU s | ftcheck installed, off | ratio (min to max) |", "|---|--:|--:|--:|"]
    for row in result["rows"]:
        low, high = row["ratios"]
        lines.append(f"| {row['case']} | {row['plain']} | {row['installed']} | {row['ratio']} ({low} to {high}) |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run()))

"""What does the plugin cost where nobody asks for it? 500 trivial tests and 10,000 collected ones, with and without it.

CPU time (user and system) of the whole process, the two in turn: of so many runs the smallest, because other work on the
machine only adds to it; beside the ratio of the smallest stand the quartiles of the ratios of two runs in a row. The last
row asks for reruns, so that each test's markers are read while it is collected.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.pytest_cpu import cost

NO_PEER = ["-p", "no:run-parallel"]
CASES = {
    "run 500 trivial tests": (500, []),
    "collect 10,000 tests": (10_000, ["--collect-only"]),
    "collect 10,000 tests, with --ftcheck": (10_000, ["--collect-only"]),
}


def run(repeats: int = 20) -> dict[str, Any]:
    """Each case with the plugin installed but not asked for, against ``-p no:ftcheck``."""
    rows = []
    for name, (tests, words) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "test_many.py")
            file.write_text("\n".join(f"def test_{number}(): assert {number} == {number}" for number in range(tests)))
            off, on = (
                [*words, "-p", "no:ftcheck", str(file)],
                [*words, *(["--ftcheck"] if "--ftcheck" in name else []), str(file)],
            )
            cost(on)  # writes the bytecode
            plain, installed = [], []
            for _ in range(repeats):
                plain.append(cost([*off, *NO_PEER])[0])
                installed.append(cost([*on, *NO_PEER])[0])
        low, _, high = statistics.quantiles(mine / theirs for mine, theirs in zip(installed, plain, strict=True))
        row = {
            "case": name,
            "plain": round(min(plain), 3),
            "installed": round(min(installed), 3),
            "ratio": round(min(installed) / min(plain), 3),
            "ratios": [round(low, 3), round(high, 3)],
        }
        rows.append(row)
        print(json.dumps(row), file=sys.stderr)
    return {"repeats": repeats, "rows": rows}


def table(result: dict[str, Any]) -> str:
    """The result as a Markdown table."""
    lines = ["| | plain pytest, CPU s | ftcheck installed, off | ratio (quartiles) |", "|---|--:|--:|--:|"]
    for row in result["rows"]:
        low, high = row["ratios"]
        lines.append(f"| {row['case']} | {row['plain']} | {row['installed']} | {row['ratio']} ({low} to {high}) |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run()))

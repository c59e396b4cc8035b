"""What does it cost to rerun a test in threads, beside pytest-run-parallel?

500 trivial tests, each run by so many threads so many times, in one process, by both tools in turn; no other plugin is
loaded. CPU time (user and system) of the whole process: of so many runs the smallest, because other work on the machine
only adds to it; the ratio is that of the smallest, and beside it stand the smallest and largest ratio of any two runs that
came one after the other. ftcheck lines the threads up, measures the overlap, keeps output apart and calls a body as short
as these several times per round.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.pytest_cpu import cost

TESTS = 500
ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
CASES = ((2, 1), (2, 10), (4, 1), (4, 10), (8, 10))
"""(threads, rounds)"""
TOOLS = {
    "ftcheck": ["-p", "ftcheck.plugin", "--ftcheck", "--ftcheck-isolate=no", "--ftcheck-threads={}", "--ftcheck-rounds={}"],
    "pytest-run-parallel": ["-p", "pytest_run_parallel.plugin", "--parallel-threads={}", "--iterations={}"],
}


def run(repeats: int = 15) -> dict[str, Any]:
    """Each case with both tools, in turn."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "test_many.py")
        file.write_text("\n".join(f"def test_{number}(): assert {number} == {number}" for number in range(TESTS)))
        for words in TOOLS.values():  # writes the bytecode
            cost([*(word.format(2) for word in words), str(file)], ALONE)
        for threads, rounds in CASES:
            seen: dict[str, list[tuple[float, float]]] = {tool: [] for tool in TOOLS}
            for _ in range(repeats):
                for tool, words in TOOLS.items():
                    chosen = [word.format(threads if "threads" in word else rounds) for word in words]
                    seen[tool].append(cost([*chosen, str(file)], ALONE))
            ratios = [mine[0] / theirs[0] for mine, theirs in zip(*seen.values(), strict=True)]
            row: dict[str, Any] = {"threads": threads, "rounds": rounds}
            for tool, pairs in seen.items():
                row[tool] = {
                    "cpu": round(min(cpu for cpu, _ in pairs), 2),
                    "wall": round(min(wall for _, wall in pairs), 2),
                }
            ratio = min(cpu for cpu, _ in seen["ftcheck"]) / min(cpu for cpu, _ in seen["pytest-run-parallel"])
            row |= {"ratio": round(ratio, 3), "ratios": [round(min(ratios), 3), round(max(ratios), 3)]}
            rows.append(row)
            print(json.dumps(row), file=sys.stderr)
    return {"repeats": repeats, "tests": TESTS, "rows": rows}


def table(result: dict[str, Any]) -> str:
    """The result as a Markdown table."""
    lines = [
        "| threads x rounds | ftcheck: CPU s | wall s | pytest-run-parallel: CPU s | wall s | CPU ratio (min to max) |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for row in result["rows"]:
        low, high = row["ratios"]
        ours, theirs = row["ftcheck"], row["pytest-run-parallel"]
        lines.append(
            f"| {row['threads']} x {row['rounds']} | {ours['cpu']} | {ours['wall']} | {theirs['cpu']} | {theirs['wall']} "
            f"| {row['ratio']} ({low} to {high}) |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run()))

"""What does the plugin cost where nobody asks for it? 500 trivial tests and 10,000 collected ones, with and without it.

Two fresh environments: one with pytest and pytest-xdist only, one with ftcheck as well. *off*: ftcheck is there and is not
asked for. *plain*: the same environment with ``-p no:ftcheck``, which loads nothing of it. *not installed*: the other
environment. What lies between the last two is pytest's own: of a distribution that has a plugin it looks up each file.

What differs by one or two percent does not show in times on a machine that does anything else. So instructions are counted
(valgrind's callgrind, where it is on the PATH), the mean over several hash seeds, because where things happen to lie in
memory moves a single count by one percent. Beside that stands CPU time (user and system) of the whole process: the variants
in turn, and the median of the ratios of runs that came one after the other. The last row asks for reruns, so that each
test's markers are read while it is collected.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.pytest_cpu import cost

ROOT = Path(__file__).resolve().parents[1]
COLLECT = ["--collect-only"]
CASES: dict[str, tuple[int, list[str], list[str]]] = {
    "run 500 trivial tests": (500, [], []),
    "collect 10,000 tests": (10_000, COLLECT, COLLECT),
    "collect 10,000 tests, with --ftcheck": (10_000, COLLECT, [*COLLECT, "--ftcheck"]),
}
"""Name to: how many tests there are, and the options without and with ftcheck."""


def run(repeats: int = 20, seeds: int = 8) -> dict[str, Any]:
    """Each case: off, against plain, against not installed.

    :param repeats: runs per variant whose CPU time is taken.
    :param seeds: hash seeds under which instructions are counted; a quarter of them where 10,000 tests are collected.
    """
    with tempfile.TemporaryDirectory() as folder:
        without, within = _environment(Path(folder, "without")), _environment(Path(folder, "within"), str(ROOT))
        rows = [_row(name, Path(folder), without, within, repeats, seeds) for name in CASES]
    return {"repeats": repeats, "seeds": seeds, "rows": rows}


def _row(name: str, folder: Path, without: Path, within: Path, repeats: int, seeds: int) -> dict[str, Any]:
    tests, plain, asked = CASES[name]
    file = folder / "test_many.py"
    file.write_text("\n".join(f"def test_{number}(): assert {number} == {number}" for number in range(tests)))
    variants: dict[str, tuple[Path, list[str]]] = {
        "off": (within, [*asked, str(file)]),
        "plain": (within, [*plain, "-p", "no:ftcheck", str(file)]),
        "not installed": (without, [*plain, str(file)]),
    }
    seconds: dict[str, list[float]] = {variant: [] for variant in variants}
    for turn in range(repeats + 1):  # the first writes the bytecode
        for variant, (python, words) in list(variants.items())[:: 1 if turn % 2 else -1]:
            seconds[variant].append(cost(words, python=python)[0])
    row: dict[str, Any] = {"case": name, "cpu": {}, "instructions": {}}
    for variant, times in seconds.items():
        row["cpu"][variant] = round(min(times[1:]), 3)
    for variant in ("plain", "not installed"):
        pairs = [mine / theirs for mine, theirs in zip(seconds["off"][1:], seconds[variant][1:], strict=True)]
        row["cpu"][f"off / {variant}"] = round(statistics.median(pairs), 3)
    if shutil.which("valgrind"):
        some = seeds if tests == 500 else max(2, seeds // 4)
        counted = {variant: _instructions(python, words, some) for variant, (python, words) in variants.items()}
        row["instructions"] = {variant: round(count / 1e6) for variant, count in counted.items()}
        for variant in ("plain", "not installed"):
            row["instructions"][f"off / {variant}"] = round(counted["off"] / counted[variant], 4)
    print(json.dumps(row), file=sys.stderr)
    return row


def _environment(folder: Path, *more: str) -> Path:
    """A fresh virtual environment's interpreter."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "-q", "pytest", "pytest-xdist", "rich", *more], check=True)
    return python


def _instructions(python: Path, words: Sequence[str], seeds: int) -> float:
    """How many instructions a run takes, the mean over the seeds."""

    def count(seed: int) -> int:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(python), "-m", "pytest", "-q", *words],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        )
        found = re.search(r"Collected : (\d+)", done.stderr)
        if found is None:
            raise RuntimeError(f"valgrind counted nothing: {done.stderr[-500:]}")
        return int(found[1])

    with ThreadPoolExecutor(os.process_cpu_count() or 1) as pool:
        return statistics.mean(pool.map(count, range(1, seeds + 1)))


def table(result: dict[str, Any]) -> str:
    """The result as a Markdown table."""
    lines = [
        "| | not installed: CPU s | plain | off | CPU off / plain | instructions off / plain | off / not installed |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in result["rows"]:
        cpu, counted = row["cpu"], row["instructions"]
        times = f"{cpu['not installed']} | {cpu['plain']} | {cpu['off']} | {cpu['off / plain']}"
        lines.append(
            f"| {row['case']} | {times} | {counted.get('off / plain', 'not counted')} "
            f"| {counted.get('off / not installed', 'not counted')} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run()))

"""Do the threads of a test really run at the same moment? ftcheck and pytest-run-parallel, side by side.

The same test file is run under both. Its body spins for a given time and notes when it began and ended; nothing of the
tools is asked. Two figures per body length:

*together*   the share of body executions during which another thread was in its body too;
*rounds*     the share of rounds in which at least two bodies overlapped (a round: each thread's n-th release; a tool that
             calls a short body several times per release has several executions in a round).
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

TEST = """
import json, os, threading, time
import pytest

STAMPS = []
LENGTH = int(os.environ["BENCH_NANOSECONDS"])
now = time.perf_counter_ns

def test_body():
    began = now()
    while now() - began < LENGTH:
        pass
    STAMPS.append((threading.get_ident(), began, now()))

@pytest.fixture(scope="module", autouse=True)
def written():
    yield
    with open(os.environ["BENCH_OUT"], "w") as file:
        json.dump(STAMPS, file)
"""
ROUNDS = 200
LENGTHS = (1, 10, 50, 200, 1000)


def tools(threads: int) -> dict[str, list[str]]:
    """The command line of each tool for the same number of threads and rounds."""
    return {
        "ftcheck": [
            "-p", "no:run-parallel", "--ftcheck", "--ftcheck-isolate=no", f"--ftcheck-threads={threads}",
            f"--ftcheck-rounds={ROUNDS}",
        ],
        "pytest-run-parallel": [f"--parallel-threads={threads}", f"--iterations={ROUNDS}", "--no-ftcheck"],
    }  # fmt: skip


def measure(words: list[str], microseconds: int) -> dict[str, float]:
    """One run of one tool."""
    with tempfile.TemporaryDirectory() as folder:
        test = Path(folder, "test_bench_overlap.py")
        test.write_text(TEST)
        out = Path(folder, "stamps.json")
        environment = {**os.environ, "BENCH_NANOSECONDS": str(microseconds * 1000), "BENCH_OUT": str(out)}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words, str(test)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if not out.exists():
            raise SystemExit(f"bench: {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        return figures(json.loads(out.read_text()))


def figures(stamps: list[tuple[int, int, int]]) -> dict[str, float]:
    """The two shares, from (thread, began, ended) of every execution."""
    together = _together(sorted(stamps, key=lambda one: one[1]))
    rounds = _rounds(stamps)
    hit = sum(_any_overlap(one) for one in rounds)
    return {
        "executions": len(stamps),
        "together": round(together / max(1, len(stamps)), 4),
        "rounds": round(hit / max(1, len(rounds)), 4),
    }


def _together(ordered: list[tuple[int, int, int]]) -> int:
    """How many executions another thread's execution overlapped; ``ordered`` by their beginning."""
    met = [False] * len(ordered)
    running: list[int] = []
    for number, (thread, began, _) in enumerate(ordered):
        running = [other for other in running if ordered[other][2] > began]
        for other in running:
            if ordered[other][0] != thread:
                met[other] = met[number] = True
        running.append(number)
    return sum(met)


def _rounds(stamps: list[tuple[int, int, int]]) -> list[list[tuple[int, int, int]]]:
    """Executions cut into rounds: the tools release all threads together, so executions come in equal shares."""
    per_thread: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for stamp in sorted(stamps, key=lambda one: one[1]):
        per_thread[stamp[0]].append(stamp)
    if len(per_thread) > 64:  # a new thread for each round: rounds are groups in time
        ordered = sorted(stamps, key=lambda one: one[1])
        size = max(1, len(ordered) // ROUNDS)
        return [ordered[start : start + size] for start in range(0, len(ordered), size)]
    rounds: list[list[tuple[int, int, int]]] = [[] for _ in range(ROUNDS)]
    for sequence in per_thread.values():
        share = len(sequence) / ROUNDS
        for position, stamp in enumerate(sequence):
            rounds[min(ROUNDS - 1, int(position / share))].append(stamp)
    return rounds


def _any_overlap(stamps: list[tuple[int, int, int]]) -> bool:
    ordered = sorted(stamps, key=lambda one: one[1])
    return any(a[0] != b[0] and b[1] < a[2] for a, b in itertools.pairwise(ordered))


def run(repeats: int = 3) -> dict[str, Any]:
    """All lengths, 2 and 4 threads, each tool in turn; the median of some repeats."""
    rows = []
    for threads in (2, 4):
        for length in LENGTHS:
            row: dict[str, Any] = {"threads": threads, "microseconds": length}
            seen: dict[str, list[dict[str, float]]] = defaultdict(list)
            for _ in range(repeats):
                for name, words in tools(threads).items():
                    seen[name].append(measure(words, length))
            for name, results in seen.items():
                middle = sorted(results, key=lambda one: one["rounds"])[len(results) // 2]
                row[name] = middle
            rows.append(row)
            print(json.dumps(row), file=sys.stderr)
    return {"rounds": ROUNDS, "repeats": repeats, "rows": rows}


def table(result: dict[str, Any]) -> str:
    """The result as a Markdown table."""
    lines = [
        "| threads | body | ftcheck: rounds overlapped | executions together | pytest-run-parallel: rounds overlapped "
        "| executions together |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    for row in result["rows"]:
        cells = [f"{row[name][key]:.0%}" for name in ("ftcheck", "pytest-run-parallel") for key in ("rounds", "together")]
        lines.append(f"| {row['threads']} | {row['microseconds']} µs | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    outcome = run(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
    print(table(outcome))

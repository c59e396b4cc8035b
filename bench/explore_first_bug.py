"""How many schedules until the first bug? The SCTBench programs, with the default settings.

Each program of ``tests/programs/fails`` that SCTBench (Thomson, Donaldson, Betts, PPoPP 2014) describes is explored with 200
seeds (the median of 20 is another one each time); the median is what counts, the run without preemptions that each search
begins with included. Beside it stands the best median that the papers print for any algorithm on the original C program
(SURW's table, ASPLOS 2025), whose counts leave out the runs that measure the program first. The programs here are written
afresh in Python: compare the order of size.
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import threading
from typing import Any

from ftcheck.explore.control import Control
from ftcheck.explore.scope import Scope
from ftcheck.explore.search import Budget, search

SEEDS = 200
MOST = 10_000
PUBLISHED = {
    "account": 3,
    "bluetooth": 36,
    "carter01": None,
    "circular_buffer": None,
    "deadlock01": 2,
    "interlocked_work_steal_queue": 6,
    "lazy01": 2,
    "queue_sctbench": None,
    "reorder_3": 7,
    "reorder_4": 7,
    "reorder_5": 10,
    "reorder_10": 17,
    "reorder_20": 6,
    "stack_sctbench": 2,
    "stringbuffer": 8,
    "token_ring": 8,
    "twostage": 8,
    "twostage_20": 6,
    "work_steal_queue": 6,
    "wronglock": 4,
    "wronglock_3": 4,
}
"""The best of the table's means; None: not in it."""


def run(seeds: int = SEEDS) -> dict[str, Any]:
    """Each program with each seed."""
    rows = []
    before, threading.excepthook = threading.excepthook, lambda args: None
    try:
        for name, published in PUBLISHED.items():
            program = importlib.import_module(f"tests.programs.fails.{name}")
            with Control(Scope([program.__file__.rpartition("fails")[0]])) as control:
                found = [
                    search(control, program.program, budget=Budget(MOST, minimising=0), seed=seed) for seed in range(seeds)
                ]
            counts = [one.schedules if one.failing is not None else MOST for one in found]
            rows.append(
                {
                    "program": name,
                    "median": statistics.median(counts),
                    "most": max(counts),
                    "found": sum(one.failing is not None for one in found),
                    "published": published,
                }
            )
            print(json.dumps(rows[-1]), file=sys.stderr)
    finally:
        threading.excepthook = before
    return {"seeds": seeds, "rows": rows}


def table(result: dict[str, Any]) -> str:
    """The result as a Markdown table."""
    lines = ["| program | found | schedules to the first bug: median | most | best published |", "|---|--:|--:|--:|--:|"]
    for row in result["rows"]:
        best = "" if row["published"] is None else row["published"]
        lines.append(
            f"| {row['program']} | {row['found']} of {result['seeds']} | {row['median']:g} | {row['most']} | {best} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run()))

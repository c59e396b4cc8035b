"""How fast is the controlled engine? Schedules and scheduling points per second.

Two threads that each read and write one attribute 20 times (80 scheduling points), in one process, on one CPU, as the
engine runs them: the plain plan with two preemptions, each sampler, and the search with all that comes with it. Then one
long run of two threads, in which nobody is switched: what a point costs, with and without the log of operations.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import ftcheck
from ftcheck.explore.control import Attempt, Control, Log
from ftcheck.explore.scope import Scope
from ftcheck.explore.search import Budget, search

SCHEDULES = 5_000
LONG = 200_000


class State:
    def __init__(self) -> None:
        self.value = 0


def twenty(state: State) -> None:
    for _ in range(20):
        state.value = state.value + 1


def short() -> None:
    """80 scheduling points."""
    state = State()
    ftcheck.concurrently(lambda: twenty(state), lambda: twenty(state))


def _many(state: State) -> None:
    for _ in range(LONG):
        state.value = state.value


def long() -> None:
    """Four times LONG points."""
    state = State()
    ftcheck.concurrently(lambda: _many(state), lambda: _many(state))


def run() -> dict[str, Any]:
    """All of it, in one process."""
    rows = []
    attempts = {
        "a plan with two preemptions": Attempt("plan", [(1, 10, 0, 2), (2, 20, 0, 1)]),
        "PCT": Attempt("pct", (3, 80)),
        "POS": Attempt("pos"),
        "SURW": Attempt("surw", (0, [0, 40, 40], b"")),
        "random walk": Attempt("walk", 1.0),
    }
    with Control(Scope([__file__]), limit=10**8, stay=10**8) as control:
        control.run(short, Attempt("plan", []))
        for name, attempt in attempts.items():
            began, points = time.perf_counter(), 0
            for seed in range(SCHEDULES):
                ran = control.run(short, Attempt(attempt.policy, attempt.parameters, seed), Log.NOTHING)
                points += ran.steps
            seconds = time.perf_counter() - began
            rows.append({"what": name, "schedules": round(SCHEDULES / seconds), "points": round(points / seconds)})
            print(json.dumps(rows[-1]), file=sys.stderr)
        began = time.perf_counter()
        explored = search(control, short, budget=Budget(SCHEDULES), seed=1)
        seconds = time.perf_counter() - began
        rows.append({"what": "the whole search", "schedules": round(explored.schedules / seconds), "points": None})
        print(json.dumps(rows[-1]), file=sys.stderr)
        control.run(long, Attempt("plan", []))
        for name, log in (("no switches", Log.NOTHING), ("no switches, operations logged", Log.OPERATIONS)):
            began = time.perf_counter()
            ran = control.run(long, Attempt("plan", []), log)
            rows.append({"what": name, "schedules": None, "points": round(ran.steps / (time.perf_counter() - began))})
            print(json.dumps(rows[-1]), file=sys.stderr)
    return {"rows": rows}


def table(result: dict[str, Any]) -> str:
    """The result as a Markdown table."""
    lines = ["| | schedules a second | points a second |", "|---|--:|--:|"]
    for row in result["rows"]:
        numbers = ["" if row[key] is None else f"{row[key]:,}" for key in ("schedules", "points")]
        lines.append(f"| {row['what']} | {numbers[0]} | {numbers[1]} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run()))

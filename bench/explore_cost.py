"""What does completeness cost, and does the cost of a schedule grow with its length alone?

First, the systematic search (source-DPOR with sleep sets) of each small program, to its end: the CPU time of all of it,
over that of as many plain runs of the program as there are inequivalent interleavings (traces). 1 would be a search that
costs nothing beside the runs that nobody can do without. The plain run may be a shorter program than most of the others:
that of executor_lost_update starts one thread, since the first task is done before the second is there, and nearly all
others start two, which is most of what they cost. So in the last column the same cost is over that of those very runs,
one for each trace, repeated by their schedules without a search and without a log. (An executor joins its threads in the
order of their addresses, so executor_lost_update is not quite the same program each time.) Then runs of two threads of
which each reads and writes one attribute, from 40 to 40,000 scheduling points: the CPU time of a point, without and with a
switch at every tenth point.
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import ftcheck
from ftcheck import _core
from ftcheck.explore.control import Attempt, Control, Ending, Log
from ftcheck.explore.scope import Scope

MOST = 1_500
"""Runs of a search."""
LEAST = 3
"""Traces: with fewer, what is measured is the clock."""
TIMES = 5
LENGTHS = (10, 100, 1_000, 10_000)


def _searched(control: Control, program: Callable[[], object]) -> tuple[int, int, float] | None:
    """Runs, traces and CPU seconds of a whole search; None: it does not come to its end."""
    runs = traces = 0
    began = time.process_time()
    _core.tree_reset(-1, True)
    more: bool | None = True
    while more and runs < MOST:
        ran = control.run(program, Attempt("dpor"), Log.OPERATIONS)
        runs += 1
        traces += ran.ending is not Ending.REDUNDANT
        more = _core.tree_advance()
    return None if more is not False else (runs, traces, time.process_time() - began)


type _Schedule = list[tuple[int, int, int, int]]


def _schedules(control: Control, program: Callable[[], object]) -> list[_Schedule]:
    """One for each trace."""
    found: list[_Schedule] = []
    _core.tree_reset(-1, True)
    more: bool | None = True
    while more:
        ran = control.run(program, Attempt("dpor"), Log.OPERATIONS | Log.SWITCHES)
        if ran.ending is not Ending.REDUNDANT and ran.schedule is not None:
            found.append(ran.schedule.to_core())
        more = _core.tree_advance()
    return found


def _run(control: Control, program: Callable[[], object], schedules: list[_Schedule], repeat: int) -> float:
    began = time.process_time()
    for _ in range(repeat):
        for schedule in schedules:
            control.run(program, Attempt("plan", schedule), Log.NOTHING)
    return time.process_time() - began


def _complete(names: list[str]) -> list[dict[str, Any]]:
    rows = []
    for name in names:
        module = importlib.import_module(f"tests.programs.{name.replace('/', '.')}")
        with Control(Scope([module.__file__, module.__file__.rpartition("/programs/")[0]]), limit=3_000) as control:
            for _ in range(3):
                control.run(module.program, Attempt("plan", []))
            found = _searched(control, module.program)
            if found is None or found[1] < LEAST:
                continue
            runs, traces, _ = found
            repeat = max(1, 400 // traces)
            ratios, of_those = [], []
            schedules = _schedules(control, module.program)
            plain: list[_Schedule] = [[]] * traces
            for _ in range(TIMES):
                seconds = sum((_searched(control, module.program) or found)[2] for _ in range(repeat))
                ratios.append(seconds / _run(control, module.program, plain, repeat))
                of_those.append(seconds / _run(control, module.program, schedules, repeat))
        ratio, of_those_runs = (round(statistics.median(values), 2) for values in (ratios, of_those))
        rows.append({"program": name, "runs": runs, "traces": traces, "ratio": ratio, "of those runs": of_those_runs})
        print(json.dumps(rows[-1]), file=sys.stderr)
    return rows


class _State:
    value = 0


def _lengths() -> list[dict[str, Any]]:
    rows = []
    with Control(Scope([__file__]), limit=10**8, stay=10**8) as control:
        for length in LENGTHS:

            def work(state: _State, times: int = length) -> None:
                for _ in range(times):
                    state.value = state.value + 1

            def program() -> None:
                state = _State()
                ftcheck.concurrently(lambda: work(state), lambda: work(state))

            row: dict[str, Any] = {"accesses": 4 * length}
            for what, attempt in (("no switches", Attempt("plan", [])), ("switches", Attempt("walk", 0.1, 1))):
                costs = []
                for _ in range(TIMES):
                    runs = max(3, 20_000 // length)
                    control.run(program, attempt, Log.NOTHING)
                    began, points = time.process_time(), 0
                    for _ in range(runs):
                        points += control.run(program, attempt, Log.NOTHING).steps
                    costs.append((time.process_time() - began) / points * 1e9)
                row[what] = round(statistics.median(costs))
            rows.append(row)
            print(json.dumps(row), file=sys.stderr)
    return rows


def run() -> dict[str, Any]:
    """Both parts."""
    from tests.explore.replays import FAILS, LONG

    before, threading.excepthook = threading.excepthook, lambda args: None
    try:
        names = [f"{folder}/{name}" for folder in ("fails", "holds") for name in FAILS if name not in LONG]
        rows = _complete(names)
    finally:
        threading.excepthook = before
    return {"rows": rows, "lengths": _lengths()}


def table(result: dict[str, Any]) -> str:
    """The result as two Markdown tables."""
    rows = result["rows"]
    ratios = sorted(row["ratio"] for row in rows)
    within = sum(ratio <= 3 for ratio in ratios)
    of_those = sorted(row["of those runs"] for row in rows)
    lines = [
        f"{len(rows)} programs; the median of the ratios is {statistics.median(ratios):g}, the largest is {ratios[-1]:g}, "
        f"and {within} are not above 3. Over the cost of those very runs: the median is {statistics.median(of_those):g}, "
        f"the largest {of_those[-1]:g}.",
        "",
        "| program | runs | traces | cost over that of as many plain runs | over that of those very runs |",
        "|---|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {row['program']} | {row['runs']} | {row['traces']} | {row['ratio']:g} | {row['of those runs']:g} |"
        for row in rows
    ]
    lines += ["", "| accesses | ns a point, no switches | ns a point, switches |", "|--:|--:|--:|"]
    lines += [f"| {row['accesses']:,} | {row['no switches']} | {row['switches']} |" for row in result["lengths"]]
    return "\n".join(lines)


if __name__ == "__main__":
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    print(table(run()))

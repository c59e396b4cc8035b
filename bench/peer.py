"""One peer at work, in a process of its own: ``python bench/peer.py FOLDER '{"peer": …}'`` prints what came of it as JSON.

Both peers replace parts of ``threading`` for the whole process, and one that is stuck must be ended from outside: so
:mod:`bench.explore_peers` starts a process for each cell of its table. A program of ``tests/programs`` is handed over as it
is: :data:`ftcheck.workload.supervisor` gives its bodies to the peer, whose threads run them. interleave-test takes functions
that start their own threads, as our programs do. frontrun takes set-up, bodies and check apart: there the program waits in a
thread of its own, that frontrun does not see, until the bodies have run. The peers' instruction hooks see the code of the
programs only, not this file, so that nothing is charged to them that is not theirs.

The process is bound to one CPU, which makes both faster: one thread runs at a time.
"""

from __future__ import annotations

import _thread
import importlib
import json
import operator
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])

from bench.explore_speed import State, twenty  # noqa: E402  # the folder is no installed package
from ftcheck import workload  # noqa: E402

PROGRAMS = str(ROOT / "tests" / "programs")
SPEED = str(ROOT / "bench" / "explore_speed.py")
STUCK = 20.0
"""Seconds after which a peer may take a schedule for stuck."""

type Program = Callable[[], None]
type Outcome = tuple[int, str]
"""Schedules, and what they came to: ``found``, ``cut`` (a limit of ours), ``holds``, or the peer's own words."""


class Enough(BaseException):
    """The CPU time of this cell is used up."""


class _Split:
    """A program that stops where its threads would run, for a peer that wants set-up, bodies and check one by one."""

    def __init__(self, program: Program) -> None:
        self._ready, self._go, self._over = (_allocate_lock() for _ in range(3))
        for lock in (self._ready, self._go, self._over):
            lock.acquire()
        self._program, self._failed = program, False
        _start_new_thread(self._run, ())
        self._ready.acquire()

    def _run(self) -> None:
        workload.supervisor.set(self)
        try:
            self._program()
        except Exception:
            self._failed = True
        self._over.release()

    def run_bodies(self, bodies: Sequence[Callable[[], object]]) -> list[tuple[int, BaseException]]:
        for number, body in enumerate(bodies):
            setattr(self, f"body_{number}", body)
        self.count = len(bodies)
        self._ready.release()
        self._go.acquire()
        return []

    def holds(self) -> bool:
        self._go.release()
        self._over.acquire()
        return not self._failed


_allocate_lock, _start_new_thread = _thread.allocate_lock, _thread.start_new_thread  # before a peer replaces them


def frontrun_once(
    setup: Callable[[], Any],
    workers: Sequence[Callable[[Any], Any]],
    holds: Callable[[Any], bool],
    setting: dict[str, Any],
    most: int,
    until: float,
    seed: int,
) -> Outcome:
    """One call of ``frontrun.explore()``. What it raises is a worker's exception: a bug that was found, without a report."""
    import frontrun

    ran = 0

    def counted() -> Any:
        nonlocal ran
        if time.process_time() > until:
            raise Enough
        ran += 1
        return setup()

    limits = {"max_attempts": most, "seed": seed} if setting["strategy"] == "random" else {"max_executions": most}
    try:
        result = frontrun.explore(
            counted,
            list(workers),
            holds,
            **setting,
            **limits,
            timeout_per_run=STUCK,
            reproduce_on_failure=0,
            detect_io=False,
        )
    except Enough:
        return ran, "cut"
    except Exception as error:
        return ran, f"found, but raised {type(error).__name__}" if ran else f"{type(error).__name__}: {error}"
    if result.property_holds is False:
        return ran, "found"
    if result.property_holds is None:
        return ran, f"inconclusive: {result.inconclusive_reason}"
    return ran, "cut" if ran >= most else "holds"


def frontrun_program(program: Program, **rest: Any) -> Outcome:
    """A program of ours under frontrun."""
    count = _Split(program)
    number = count.count
    count.holds()
    workers = [operator.methodcaller(f"body_{index}") for index in range(number)]
    return frontrun_once(lambda: _Split(program), workers, _Split.holds, **rest)


def frontrun_short(**rest: Any) -> Outcome:
    """The program of the speed table under frontrun, which does not check anything."""
    return frontrun_once(State, [twenty, twenty], lambda state: True, **rest)


class _Spawning:
    """Inside a model of interleave-test: each body is a thread of it."""

    def run_bodies(self, bodies: Sequence[Callable[[], object]]) -> list[tuple[int, BaseException]]:
        import interleave_test

        for task in [interleave_test.spawn(body) for body in bodies]:
            task.join()
        return []


def interleave_once(model: Program, include: str, setting: dict[str, Any], most: int, until: float, seed: int) -> Outcome:
    """One call of ``interleave_test.explore()``."""
    import interleave_test

    base = {"pct": interleave_test.PCTStrategy, "random": interleave_test.RandomStrategy}[setting["strategy"]]

    class Timed(base):  # type: ignore[misc, valid-type]
        def more(self) -> bool | None:
            return None if time.process_time() < until else False

    strategy = Timed()
    if strategy.more() is False:
        return 0, "cut"
    options = {name: value for name, value in setting.items() if name != "strategy"}
    result = interleave_test.explore(
        model,
        iterations=most,
        seed=seed,
        strategy=strategy,
        timeout=STUCK,
        include=[include],
        raise_on_failure=False,
        **options,
    )
    if result.failure is None:
        return result.schedules_run, "cut"
    return result.schedules_run, "hang" if result.failure.kind == "hang" else "found"


def interleave_program(program: Program, **rest: Any) -> Outcome:
    """A program of ours under interleave-test."""

    def model() -> None:
        workload.supervisor.set(_Spawning())
        program()

    return interleave_once(model, PROGRAMS, **rest)


def interleave_short(**rest: Any) -> Outcome:
    """The program of the speed table under interleave-test."""

    def model() -> None:
        import interleave_test

        state = State()
        for task in [interleave_test.spawn(twenty, state) for _ in range(2)]:
            task.join()

    return interleave_once(model, SPEED, **rest)


PEERS = {"frontrun": (frontrun_program, frontrun_short), "interleave-test": (interleave_program, interleave_short)}


def first_bug(peer: str, setting: dict[str, Any], program: str, seeds: int, most: int, seconds: float) -> dict[str, Any]:
    """One seed after the other until the CPU time is used up."""
    body = importlib.import_module(f"tests.programs.fails.{program}").program
    if program == "work_steal_queue":  # it takes threading.Lock when it is imported, where a peer has not replaced it yet
        body = importlib.import_module("tests.programs.families.work_stealing").make(lambda: threading.Lock(), fixed=False)
    until, outcomes = time.process_time() + seconds, []
    for seed in range(seeds):
        outcomes.append(PEERS[peer][0](body, setting=setting, most=most, until=until, seed=seed))
        if time.process_time() > until or outcomes[-1][1] == "hang" or outcomes[-1][1].startswith("inconclusive"):
            break
    return {"outcomes": outcomes}


def speed(peer: str, setting: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Schedules of one CPU second, once the peer has been imported and has run a little."""
    short = PEERS[peer][1]
    short(setting=setting, most=5, until=time.process_time() + seconds, seed=0)
    began, wall, ran, seed = time.process_time(), time.perf_counter(), 0, 0
    while time.process_time() - began < seconds:
        seed += 1
        count, outcome = short(setting=setting, most=1_000, until=began + seconds, seed=seed)
        ran += count
        if outcome not in ("cut", "holds") or not count:
            return {"error": f"{count} schedules, then: {outcome}"}
    return {
        "schedules": ran / (time.process_time() - began),
        "wall": ran / (time.perf_counter() - wall),
        "runs_of_a_search": ran / seed,
    }


def main() -> None:
    """The cell that the command line names."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    threading.excepthook = lambda args: None
    os.environ["FRONTRUN_ACTIVE"] = "1"  # as its command does, which we do without: it preloads a library that watches I/O
    words = json.loads(sys.argv[2])
    what = {"first_bug": first_bug, "speed": speed}[words.pop("what")]
    answer = json.dumps(what(**words))
    sys.stdout.write(f"\n{answer}\n")
    sys.stdout.flush()
    os._exit(0)  # threads that a peer has left behind, or a program that still waits, must not keep the process


if __name__ == "__main__":
    main()

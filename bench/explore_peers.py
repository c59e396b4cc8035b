"""How do other explorers do on the same programs?

frontrun and interleave-test (PyPI, the versions below) and ftcheck, on the same programs, in the same run, each bound to one
CPU; the peers run in processes of their own. A peer that cannot be installed here is in the tables all the same, with the
reason.

*Schedules to the first bug*: the median of the seeds. ftcheck: 20 seeds, default settings, up to 10,000 schedules. Peers:
10 seeds, 300 schedules each, and 2.5 seconds of CPU time for all seeds of a cell together; in brackets stands in how many
of the seeds that were begun the bug was found. A seed that a limit has cut counts as slower than all others; where these
are half or more, the median is only known to be greater than what the median seed had run. DPOR draws nothing: one run,
with its default bound of 2 preemptions and with none. *holds*: it ended by itself and certified the program, which is
wrong. *raised*: ``explore()`` raised what a thread had raised, which counts as found.

*Schedules of a second*: two threads that each read and write one attribute 20 times, of which nobody checks anything (80
scheduling points of ftcheck; the peers stop at every instruction). Seconds of the clock on the wall, which is what a user
waits, and of CPU time, in which other work on the machine does not count; all rows are measured three times in turn, and the
best of each is shown. Bound to one CPU a peer waits less than it does as it comes, so that is how it is measured. Start-up,
imports and the first few schedules are left out.
frontrun watches no I/O here and does not replay what it found, as it would by default: both cost time. The public path is a
pytest run with ``@pytest.mark.ftcheck(explore=True)``, a fixture that makes the object anew for each schedule, and 5,000
schedules; then the same with ``@given``, 64 schedules for each of 300 examples.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

from bench.explore_speed import short
from bench.real_world.packages import STORE, Unavailable
from ftcheck.explore.control import Attempt, Control, Log
from ftcheck.explore.scope import Scope
from ftcheck.explore.search import Budget, search

HERE = Path(__file__).resolve().parent
RELEASES = {"frontrun": "0.7.0", "interleave-test": "0.1.0"}
PROGRAMS = (
    "account",
    "deadlock01",
    "reorder_3",
    "reorder_10",
    "stack_sctbench",
    "token_ring",
    "twostage",
    "work_steal_queue",
    "wronglock_3",
)
OUR_SEEDS, SEEDS, MOST, CELL = 20, 10, 300, 2.5
OUR_MOST = 10_000
SCHEDULES, EXAMPLES = 5_000, 300
ROUNDS = 3
FIRST_BUG = {
    "frontrun random": ("frontrun", {"strategy": "random"}),
    "frontrun DPOR": ("frontrun", {"strategy": "dpor"}),
    "frontrun DPOR, no bound": ("frontrun", {"strategy": "dpor", "preemption_bound": None}),
    "interleave-test PCT": ("interleave-test", {"strategy": "pct"}),
    "interleave-test random": ("interleave-test", {"strategy": "random"}),
}
"""The peers' ways to search, each a column."""
SPEED = {
    "frontrun random": ("frontrun", {"strategy": "random"}),
    "frontrun DPOR": ("frontrun", {"strategy": "dpor"}),
    "interleave-test random": ("interleave-test", {"strategy": "random"}),
    "interleave-test PCT": ("interleave-test", {"strategy": "pct"}),
    "interleave-test PCT, lines only": ("interleave-test", {"strategy": "pct", "granularity": "line"}),
}
COARSE = "interleave-test PCT, lines only"
"""Cannot stop between the read and the write of ``value = value + 1``: fast, and blind. Left out of "the fastest peer"."""

AIMS = {"the engine alone": 200, "pytest": 50}
"""Times the fastest peer."""

MEASURES = ("wall", "schedules")
_HOW = ("by the clock", "by CPU time")


def install(name: str, version: str) -> Path:
    """The folder with a peer, unpacked from its wheel: nothing gets into the environment of the project.

    The wheel of frontrun is tagged for a newer C library than it needs, and pip would refuse it where an older one is
    installed; so the platform is named to pip.

    :raises Unavailable: no such wheel for this platform, or no network.
    """
    target = STORE.parent / "peers" / f"{name}-{version}-{sys.implementation.cache_tag}"
    if (target / ".done").exists():
        return target
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    words = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "download", "--no-deps", "-d", str(target)]
    if name == "frontrun":
        words += ["--platform", f"manylinux_2_39_{platform.machine()}", "--python-version", "3.14", "--abi", "cp314t"]
    words += ["--only-binary=:all:", f"{name}=={version}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    wheels = list(target.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
        raise Unavailable(f"{name} {version} cannot be had here: {' '.join(last)}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        wheel.extractall(target)
    (target / ".done").touch()
    return target


def folders() -> dict[str, Path | str]:
    """Where each peer is, or why not."""
    found: dict[str, Path | str] = {}
    for name, version in RELEASES.items():
        try:
            found[name] = install(name, version)
        except Unavailable as error:
            found[name] = str(error)
    return found


def ask(folder: Path, limit: float, **words: Any) -> dict[str, Any]:
    """What ``bench/peer.py`` answers, or what went wrong with it."""
    variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(HERE / "peer.py"), str(folder), json.dumps(words)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=variables, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"stuck: no end after {limit:.0f} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        return {"error": last[0][:200]}
    return dict(json.loads(lines[-1]))


def ours_first_bug(program: str) -> dict[str, Any]:
    """A program explored with the default settings."""
    module = importlib.import_module(f"tests.programs.fails.{program}")
    before, threading.excepthook = threading.excepthook, lambda args: None
    try:
        with Control(Scope([module.__file__.rpartition("fails")[0]])) as control:
            found = [
                search(control, module.program, budget=Budget(OUR_MOST, minimising=0), seed=seed)
                for seed in range(OUR_SEEDS)
            ]
    finally:
        threading.excepthook = before
    return {"outcomes": [[one.schedules, "cut" if one.failing is None else "found"] for one in found]}


def ours_alone() -> list[dict[str, Any]]:
    """The engine without pytest: the samplers that the peers have as well, and the search as a whole."""
    rows = []
    with Control(Scope([str(HERE / "explore_speed.py")])) as control:
        control.run(short, Attempt("plan", []))

        def pct() -> int:
            for seed in range(SCHEDULES):
                control.run(short, Attempt("pct", (3, 80), seed), Log.NOTHING)
            return SCHEDULES

        def whole() -> int:
            return search(control, short, budget=Budget(SCHEDULES), seed=1).schedules

        def walk() -> int:
            for seed in range(SCHEDULES):
                control.run(short, Attempt("walk", 1.0, seed), Log.NOTHING)
            return SCHEDULES

        bodies = {"PCT": pct, "random walk": walk, "the whole search": whole}
        for name, body in bodies.items():
            began, wall = time.process_time(), time.perf_counter()
            ran = body()
            rows.append(
                {
                    "what": f"ftcheck, the engine alone, {name}",
                    "schedules": ran / (time.process_time() - began),
                    "wall": ran / (time.perf_counter() - wall),
                }
            )
    return rows


_TEST = """\
import itertools
import json
import time

import ftcheck
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

counted = itertools.count()


class State:
    def __init__(self, value=0):
        self.value = value


def twenty(state):
    for _ in range(20):
        state.value = state.value + 1


@pytest.fixture(scope="class")
def clock():
    cpu, wall = time.process_time(), time.perf_counter()
    yield
    with open("out.json", "w") as file:
        json.dump([next(counted), time.process_time() - cpu, time.perf_counter() - wall], file)


@pytest.fixture
def state():
    return State()


@pytest.mark.ftcheck(explore=True)
@settings(max_examples=2, database=None)
@given(st.integers())
def test_start_up(value):
    # Hypothesis looks for constants in all modules, once
    ftcheck.concurrently(lambda: twenty(State()), lambda: None)


@pytest.mark.usefixtures("clock")
class TestSpeed:
"""
_PLAIN = f"""
    @pytest.mark.ftcheck(explore=True, schedules={SCHEDULES})
    def test_plain(self, state):
        next(counted)
        ftcheck.concurrently(lambda: twenty(state), lambda: twenty(state))
        assert 0 < state.value <= 40
"""
_GIVEN = f"""
    @pytest.mark.ftcheck(explore=True)
    @settings(max_examples={EXAMPLES}, deadline=None, database=None)
    @given(st.integers(0, 1_000_000))
    def test_given(self, value):
        next(counted)
        state = State(value)
        ftcheck.concurrently(lambda: twenty(state), lambda: twenty(state))
        assert value < state.value <= value + 40
"""


def ours_public(what: str, test: str) -> dict[str, Any]:
    """A pytest run. The test counts its schedules itself, and a fixture of the module takes the time around it."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pytest.ini").write_text("[pytest]\n")
        (Path(folder) / "test_speed.py").write_text(_TEST + test)
        words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "ftcheck", "-p", "_hypothesis_pytestplugin"]
        variables = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        variables.pop("PYTEST_ADDOPTS", None)
        done = subprocess.run(
            [sys.executable, *words, "test_speed.py"],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            return {"what": what, "error": (done.stdout.strip().splitlines() or ["no output"])[-1]}
        ran, cpu, wall = json.loads((Path(folder) / "out.json").read_text())
    return {"what": what, "schedules": ran / cpu, "wall": ran / wall}


def run() -> dict[str, Any]:
    """All of it."""
    where = folders()
    bugs = []
    for program in PROGRAMS:
        row = {"program": program, "ftcheck": ours_first_bug(program)}
        for column, (peer, setting) in FIRST_BUG.items():
            folder = where[peer]
            seeds = 1 if setting["strategy"] == "dpor" else SEEDS
            words = {"peer": peer, "setting": setting, "program": program, "seeds": seeds, "most": MOST, "seconds": CELL}
            row[column] = (
                {"error": "not installed"} if isinstance(folder, str) else ask(folder, 45, what="first_bug", **words)
            )
        bugs.append(row)
        print(program, *(f"{column}: {cell(row[column])}" for column in columns()), sep="; ", file=sys.stderr)
    missing = {name: why for name, why in where.items() if isinstance(why, str)}
    return {"releases": RELEASES, "missing": missing, "bugs": bugs, "speed": speed(where)}


def speed(where: dict[str, Path | str]) -> list[dict[str, Any]]:
    """The rows of the second table."""
    rounds = []
    for _ in range(ROUNDS):
        rows = []
        for what, (peer, setting) in SPEED.items():
            folder = where[peer]
            answer = (
                {"error": folder}
                if isinstance(folder, str)
                else ask(folder, 45, what="speed", peer=peer, setting=setting, seconds=3.0)
            )
            rows.append({"what": what, **answer})
        rows += ours_alone()
        rows.append(ours_public("ftcheck, pytest with a fixture", _PLAIN))
        rows.append(ours_public("ftcheck, pytest and @given", _GIVEN))
        for row in rows:
            print(json.dumps(row), file=sys.stderr)
        rounds.append(rows)
    return [_best(of_one) for of_one in zip(*rounds, strict=True)]


def _best(rows: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    good = [row for row in rows if "error" not in row]
    return {**good[0], **{what: max(row[what] for row in good) for what in MEASURES}} if good else rows[0]


def columns() -> list[str]:
    """Of the first table."""
    return ["ftcheck", *FIRST_BUG]


def cell(answer: dict[str, Any]) -> str:
    """The median, and in how many seeds it was found; or what the peer said instead."""
    if "error" in answer:
        return str(answer["error"])
    outcomes = answer["outcomes"]
    found = [count for count, outcome in outcomes if outcome.startswith("found")]
    if len(outcomes) == 1:
        count, outcome = outcomes[0]
        if outcome == "found":
            return str(count)
        if outcome.startswith("found"):
            return f"{count}, raised"
        return f"> {count}" if outcome == "cut" else f"**{outcome.partition(':')[0]}** after {count}"
    share = f"({len(found)}/{len(outcomes)})"
    odd = next((outcome for _, outcome in outcomes if outcome not in ("cut",) and not outcome.startswith("found")), "")
    if odd:
        return f"**{odd.partition(':')[0]}** {share}"
    if 2 * len(found) > len(outcomes):
        ranked = sorted(found) + [max(found)] * (len(outcomes) - len(found))
        return f"{statistics.median(ranked):g} {share}"
    return f"> {statistics.median(count for count, _ in outcomes):g} {share}"


def fastest(result: dict[str, Any], measure: str) -> float | None:
    """Of the peers that stop between instructions, the most schedules of a second."""
    peers = [row for row in result["speed"] if row["what"] in SPEED and row["what"] != COARSE]
    return max((row[measure] for row in peers if measure in row), default=None)


def _times(result: dict[str, Any], row: dict[str, Any], measure: str) -> float:
    """The fastest peer; 0: there is none."""
    best = fastest(result, measure)
    return row[measure] / best if best and measure in row else 0.0


def table(result: dict[str, Any]) -> str:
    """Both tables, as Markdown."""
    head = columns()
    lines = [f"| program | {' | '.join(head)} |", "|---|" + "--:|" * len(head)]
    lines += [f"| {row['program']} | {' | '.join(cell(row[column]) for column in head)} |" for row in result["bugs"]]
    lines += ["", "| schedules of a second | by the clock | times the fastest peer | of CPU time | times the fastest peer |"]
    lines.append("|---|--:|--:|--:|--:|")
    for row in result["speed"]:
        if "error" in row:
            lines.append(f"| {row['what']} | {row['error']} | | | |")
        else:
            cells = [f"{row[measure]:,.0f} | {_times(result, row, measure):.1f}" for measure in MEASURES]
            lines.append(f"| {row['what']} | {' | '.join(cells)} |")
    lines += [f"\nNot measured: {why}" for why in result["missing"].values()]
    for what, aim in AIMS.items():
        ours = [row for row in result["speed"] if row["what"].startswith(f"ftcheck, {what}")]
        reached = [max((_times(result, row, measure) for row in ours), default=0.0) for measure in MEASURES]
        words = [
            f"{'reached' if times >= aim else '**not** reached'} {how} ({times:.0f})"
            for times, how in zip(reached, _HOW, strict=True)
        ]
        lines.append(f"\nAim for {what}: {aim} times the fastest peer; {', '.join(words)}.")
    names = ", ".join(f"{name} {version}" for name, version in result["releases"].items())
    return "\n".join([*lines, "", f"Peers: {names}. The fastest peer: of those that can stop between two instructions."])


if __name__ == "__main__":
    print(table(run()))

"""Runs failing tests again, in child interpreters, one mode at a time: the parent's side.

A :class:`Mode` is one way to run them: alone, in threads without the GIL, in threads with it. One child runs all tests of a
mode, so that a failure costs three interpreters, not three for each test; where a child dies at a test, that is the test's
result in this mode, read from the evidence that any worker of ours leaves, and the next child goes on behind it.

No child outlives this process: it is killed, with all that it has started, on every way out of :meth:`Mode.run`, and it ends
by itself when its end of a pipe is closed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ftcheck.plugin import evidence
from ftcheck.plugin.evidence import End
from ftcheck.plugin.rerun_child import WORKER
from ftcheck.verdicts import Rerun, Verdict

NO_TIME = "no time was left"
_NEEDS_COMPANY = "cannot run alone, its bodies wait for each other"
_PROGRAM = (
    "import json, sys\n"
    "task = json.load(open(sys.argv[1], encoding='ascii'))\n"
    "sys.path[:] = task['path']\n"
    "from ftcheck.plugin.rerun_child import main\n"
    "main(task)\n"
)
_TICK = 0.02
_PATIENCE = 3.0
"""Seconds beyond a mode's time that a round which has begun may take."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A failing test.

    :param timeout: the most seconds that a round of a rerun may take, if the test's own timeout is longer.
    :param stuck: whether it hung or deadlocked. Only then is a rerun that exceeds the shorter timeout a failure; any other
        test may just be slower than usual, as computing threads are with the GIL.
    """

    test: str
    timeout: float
    stuck: bool


@dataclass
class Results:
    """What is known so far of each suspect.

    :param reruns: by node id, in the order of the modes.
    :param needs_company: cannot be run alone.
    :param serial: is not rerun in threads, and why.
    """

    reruns: dict[str, list[Rerun]] = field(default_factory=dict)
    needs_company: set[str] = field(default_factory=set)
    serial: dict[str, str] = field(default_factory=dict)

    def add(self, test: str, rerun: Rerun) -> None:
        """One more mode."""
        self.reruns.setdefault(test, []).append(rerun)


@dataclass(frozen=True, slots=True)
class Launch:
    """What all children have in common with the run.

    :param folder: for tasks, results, evidence and temporary files of tests.
    :param directory: where pytest was started.
    :param flags: of the interpreter.
    :param path: ``sys.path`` as it was before any conftest file.
    :param options: the values that options have in the run, where they are plain.
    :param workerinput: what a worker of pytest-xdist is given.
    """

    folder: Path
    directory: Path
    flags: Sequence[str]
    path: Sequence[str]
    environment: Mapping[str, str]
    arguments: Sequence[str]
    options: Mapping[str, str | float | None]
    workerinput: Mapping[str, Any]


class Mode:
    """One way to run the suspects again.

    :param gil: the value of ``PYTHON_GIL``, or None to leave the variable out.
    """

    def __init__(self, name: str, gil: str | None, launch: Launch, results: Results) -> None:
        self._name, self._gil, self._launch, self._results = name, gil, launch, results
        self._alone = name == "alone"
        self._starts = 0

    def run(self, suspects: Sequence[Suspect], until: float) -> None:
        """Run each suspect; afterwards each has one more rerun.

        :param until: no round begins after this time of :func:`time.monotonic`.
        """
        left = {suspect.test: suspect for suspect in suspects}
        why = NO_TIME
        while left and time.monotonic() < until:
            before = len(left)
            child = self.child(list(left.values()), until)
            for line in child.lines:
                if "rounds" in line and left.pop(line["test"], None) is not None:
                    self._finished(line)
            late = [line["test"] for line in child.lines if "late" in line]
            if child.end is None:
                why = NO_TIME if late or child.killed else child.why_not_run(left)
                break
            suspect = left.get(child.end.now.subject)
            if suspect is not None and child.end.now.phase not in ("start", "collection"):
                del left[suspect.test]
                self._died(suspect, child.end, any(line.get("shortened") for line in child.lines[-1:]))
            elif child.end.now.phase == "between" and child.lines:
                self._died_after(child.end)
            if len(left) == before:
                why = f"the rerun could not start: {child.words}"
                break
        for test in left:
            self._results.add(test, Rerun(self._name, note=why))

    # --- results ------------------------------------------------------------------------------------------------------

    def _finished(self, line: Mapping[str, Any]) -> None:
        test = line["test"]
        if line.get("company"):
            self._results.needs_company.add(test)
        if "serial" in line:
            self._results.serial[test] = line["serial"]
        if "serial" in line and not self._alone:
            self._results.add(test, Rerun(self._name, note=f"it did not run concurrently ({line['serial']})"))
            return
        self._results.add(test, Rerun(self._name, line["failed"], line["rounds"], line["overlapped"], line["note"]))

    def _died(self, suspect: Suspect, end: End, shortened: bool) -> None:
        stalled = end.verdict in (Verdict.HANG, Verdict.DEADLOCK)
        if self._alone and stalled and "concurrently body" in end.detail:
            self._results.needs_company.add(suspect.test)
            rerun = Rerun(self._name, note=_NEEDS_COMPANY)
        elif end.verdict is Verdict.HANG and shortened and not suspect.stuck:
            rerun = Rerun(self._name, note=f"not over after {suspect.timeout:g} s, the limit for reruns")
        else:
            rounds = max(1, end.now.round)
            rerun = Rerun(self._name, 1, rounds, rounds, end.verdict.value if end.verdict else end.headline)
        self._results.add(suspect.test, rerun)

    def _died_after(self, end: End) -> None:
        """It had a result, and then the process died before the next test began."""
        reruns = self._results.reruns.get(end.now.subject, [])
        if reruns and reruns[-1].mode == self._name and end.verdict is not None and not reruns[-1].failed:
            reruns[-1] = Rerun(self._name, 1, 1, 1, f"{end.verdict.value} after the test")

    # --- one child ----------------------------------------------------------------------------------------------------

    def child(self, suspects: Sequence[Suspect], until: float) -> Child:
        """Start a child for these, and wait until it is gone."""
        self._starts += 1
        place = self._launch.folder / f"{self._name.replace(' ', '-')}-{self._starts}"
        place.mkdir()
        with _liveness() as theirs:
            task = self._task(place, theirs, suspects, until)
            (place / "task.json").write_text(json.dumps(task), encoding="ascii")
            with (place / "output.txt").open("wb") as output:
                process = subprocess.Popen(
                    [sys.executable, *self._launch.flags, "-c", _PROGRAM, place / "task.json"],
                    cwd=self._launch.directory,
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=[theirs],
                    process_group=0,
                )
            killed = True
            try:
                killed = not _ended(process.pid, until + _PATIENCE)
            finally:
                # Before it is waited for: until then nobody else can have its number.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                status = process.wait()
        lines = _lines(place / "results")
        done = killed or any("done" in line for line in lines)
        end = None if done else evidence.read(place, WORKER, status)
        return Child(lines, end, killed, _telling_line(place / "output.txt"))

    def _task(self, place: Path, parent: int, suspects: Sequence[Suspect], until: float) -> dict[str, Any]:
        launch = self._launch
        return {
            "parent": parent,
            "folder": str(launch.folder),
            "path": list(launch.path),
            "argv": sys.argv,
            "arguments": list(launch.arguments),
            "options": dict(launch.options),
            "alone": self._alone,
            "until": time.time() + until - time.monotonic(),
            "timeouts": {suspect.test: suspect.timeout for suspect in suspects},
            "tests": [suspect.test for suspect in suspects],
            "basetemp": str(place / "tmp"),
            "results": str(place / "results"),
            "workerinput": {
                **launch.workerinput,
                "workerid": WORKER,
                "workercount": 1,
                "mainargv": sys.argv,
                "ftcheck_evidence": str(place),
            },
        }

    def _environment(self) -> dict[str, str]:
        environment = {name: value for name, value in self._launch.environment.items() if name != "PYTHON_GIL"}
        return environment if self._gil is None else environment | {"PYTHON_GIL": self._gil}


@dataclass(frozen=True, slots=True)
class Child:
    """A child that is gone.

    :param end: how it died; None where it ended as it should, or was killed by us.
    :param words: the line of its output that says the most.
    """

    lines: Sequence[Mapping[str, Any]]
    end: End | None
    killed: bool
    words: str

    def why_not_run(self, left: Collection[str]) -> str:
        """Of tests that the child should have run, and that have no result in it."""
        status = next((line["done"] for line in self.lines if "done" in line), 0)
        if status in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED):
            if any("begins" in line and line["test"] in left for line in self.lines):
                return "another plugin did not let it run again"
            return "it was not found when the tests were collected again"
        return f"the rerun could not start: {self.words}"


@contextlib.contextmanager
def _liveness() -> Iterator[int]:
    """A pipe of which this process holds the one end as long as it lives, and the child reads the other."""
    theirs, ours = os.pipe()
    try:
        yield theirs
    finally:
        os.close(ours)
        os.close(theirs)


def _ended(pid: int, until: float) -> bool:
    """Wait for a child's end, without taking notice of it: so its number stays its own. False: it is still there."""
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() >= until:
            return False
        time.sleep(_TICK)
    return True


def _lines(path: Path) -> list[dict[str, Any]]:
    """The complete lines: a child may die in the middle of one."""
    try:
        whole = path.read_bytes().rpartition(b"\n")[0]
    except OSError:
        return []
    return [json.loads(line) for line in whole.splitlines()]


def _telling_line(path: Path) -> str:
    """The last line, or the last one of an error that pytest has reported."""
    lines = [line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip(" =\t")]
    errors = [line for line in lines if line.startswith(("INTERNALERROR> ", "E  ", "ERROR"))]
    found = (errors or lines or ["it said nothing"])[-1]
    return found.removeprefix("INTERNALERROR>").strip("= ")[:200]

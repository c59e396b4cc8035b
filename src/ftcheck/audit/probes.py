"""Starts the children that touch the code of others, and makes sure that each costs its own row and nothing else.

Modules are given to a child in batches, because a start takes longer than most imports. The child says which module it
begins with, and that it is done with it. Where it dies, hangs or falls silent in between, that module is at fault as far as
one can see: it is tried once more in a child of its own, and what happens there is its result. The rest of the batch goes on
in a new child.

A child gets a session and a temporary folder of its own: as working directory, as home, for temporary files. It writes no
byte code. Its output goes to a pipe of which the end is kept. When it is over, everything that still runs in its session is
killed, and so is every process that has inherited a mark in its environment, which is how those are found that have left the
session (``/proc``, on Linux).
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PROGRAM = Path(__file__).with_name("child.py")
_MARK = "FTCHECK_AUDIT_CHILD"
_KEPT, _LONGEST_LINE, _SCANS = 16 << 10, 1 << 20, 400
_DROPPED = ("PYTHON_GIL", "PYTHONWARNINGS", "PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONVERBOSE", "PYTHONPROFILEIMPORTTIME",
            "PYTHONIOENCODING", "COVERAGE_PROCESS_START")  # fmt: skip
"""Settings that would change the answers, or the output."""


class ProbeError(Exception):
    """The interpreter cannot be asked at all. The message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one subject.

    :param answer: what the child said; empty: nothing.
    :param died: how the process ended in the middle of it: ``"SIGSEGV"``, ``"ended the process with status 3"``,
        ``"did not end within 60 s"``; empty: it did not.
    :param output: the last that the process printed, where it died.
    :param forked: it made child processes that came back from the import.
    """

    answer: Mapping[str, Any] = field(default_factory=dict)
    died: str = ""
    output: str = ""
    forked: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Orders for one child.

    :param kind: see :mod:`ftcheck.audit.child`.
    :param path: entries that come first in its ``sys.path``.
    """

    kind: str
    subjects: tuple[Mapping[str, str], ...]
    path: tuple[str, ...] = ()


class Probes:
    """Children of one interpreter.

    :param python: its executable.
    :param timeout: seconds that one subject may take.
    :param jobs: children at the same time.
    :param user_base: of the interpreter: where the user's own packages are, although its home is another one.
    """

    def __init__(self, python: str, *, timeout: float, jobs: int, user_base: str = "") -> None:
        self.python, self.timeout, self._jobs, self._user_base = python, timeout, max(1, jobs), user_base

    def facts(self) -> Mapping[str, Any]:
        """What the interpreter is.

        :raises ProbeError: it does not run, or is no Python.
        """
        ((outcome,),) = self.run([Batch("facts", ({},))])
        if not outcome.answer:
            last = outcome.output.strip().splitlines()[-1:] or [outcome.died]
            raise ProbeError(f"{self.python} does not run as a Python interpreter: {last[0]}; give --python another one")
        return outcome.answer

    def run(self, batches: Sequence[Batch], tick: Callable[[], object] = lambda: None) -> list[list[Outcome]]:
        """Carry out all orders, some batches at a time.

        :param tick: is called for each subject that is done.
        :returns: what came of the subjects of each batch, in their order.
        :raises ProbeError: the interpreter cannot be started.
        """
        results: list[list[Outcome | None]] = [[None] * len(batch.subjects) for batch in batches]
        waiting = deque(
            _Task(batch, number, tuple(range(len(batch.subjects)))) for number, batch in enumerate(batches) if batch.subjects
        )
        running: list[_Child] = []
        with (
            tempfile.TemporaryDirectory(prefix="ftcheck-audit-", ignore_cleanup_errors=True) as folder,
            selectors.DefaultSelector() as selector,
        ):
            try:
                while waiting or running:
                    while waiting and len(running) < self._jobs:
                        running.append(_Child(self, waiting.popleft(), folder, selector))
                    for child in _turn(selector, running):
                        running.remove(child)
                        for place, outcome in child.outcomes.items():
                            results[child.task.batch_number][place] = outcome
                            tick()
                        waiting.extendleft(reversed(child.rest()))
            finally:
                for child in running:
                    child.end()
        return [[one if one is not None else Outcome(died="was not reached") for one in some] for some in results]

    def environment(self, home: str, mark: str) -> dict[str, str]:
        """Of a child."""
        kept = {name: value for name, value in os.environ.items() if name not in _DROPPED}
        own = {
            "HOME": home,
            "TMPDIR": home,
            "XDG_CACHE_HOME": home,
            "XDG_CONFIG_HOME": home,
            "MPLCONFIGDIR": home,
            _MARK: mark,
        }
        if "PYTHONPATH" in kept:  # relative entries mean the folder that we are in
            kept["PYTHONPATH"] = os.pathsep.join(os.path.abspath(one) for one in kept["PYTHONPATH"].split(os.pathsep) if one)
        if self._user_base:
            own["PYTHONUSERBASE"] = self._user_base
        return {**kept, **own, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONFAULTHANDLER": "1", "PYTHONUNBUFFERED": "1"}


@dataclass(frozen=True, slots=True)
class _Task:
    """What a child is to do.

    :param places: of its subjects in the batch.
    :param alone: whether its only subject has cost a process already.
    """

    batch: Batch
    batch_number: int
    places: tuple[int, ...]
    alone: bool = False


def _turn(selector: selectors.BaseSelector, running: Iterable[_Child]) -> Iterator[_Child]:
    """Read what there is; gives the children that are over."""
    for key, _ in selector.select(timeout=0.05):
        key.data()
    for child in list(running):
        if child.over():
            child.end()
            yield child


class _Child:
    """One process."""

    def __init__(self, probes: Probes, task: _Task, folder: str, selector: selectors.BaseSelector) -> None:
        self.task, self._timeout, self._selector = task, probes.timeout, selector
        self.outcomes: dict[int, Outcome] = {}
        self._begun: int | None = None
        self._forked: set[int] = set()
        self._complete, self._timed_out = False, False
        self._lines, self._output = b"", b""
        self._mark = uuid.uuid4().hex
        self._home = tempfile.mkdtemp(dir=folder)
        self._said, write = os.pipe()
        self._printed, out = os.pipe()
        os.set_blocking(self._said, False)
        os.set_blocking(self._printed, False)
        orders = {
            "kind": task.batch.kind,
            "path": task.batch.path,
            "subjects": [dict(task.batch.subjects[place]) for place in task.places],
        }
        try:
            with tempfile.TemporaryFile(dir=folder) as stdin:
                stdin.write(json.dumps(orders).encode())
                stdin.seek(0)
                self._process = subprocess.Popen(
                    [probes.python, "-v", str(_PROGRAM), str(write)],
                    stdin=stdin,
                    stdout=out,
                    stderr=out,
                    cwd=self._home,
                    env=probes.environment(self._home, self._mark),
                    pass_fds=[write],
                    start_new_session=True,
                )
        except OSError as error:
            os.close(self._said)
            os.close(self._printed)
            raise ProbeError(f"{probes.python} cannot be started: {error.strerror}; give --python another one") from None
        finally:
            os.close(write)
            os.close(out)
        selector.register(self._said, selectors.EVENT_READ, self._hear)
        selector.register(self._printed, selectors.EVENT_READ, self._see)
        self._deadline = time.monotonic() + self._timeout

    def _hear(self) -> None:
        data = self._read(self._said)
        self._lines = (self._lines + data)[-_LONGEST_LINE:]
        *lines, self._lines = self._lines.split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError, KeyError, TypeError, IndexError, AttributeError):
                self._take(json.loads(line))

    def _take(self, said: dict[str, Any]) -> None:
        if said["kind"] == "end":
            self._complete = True
            return
        place = self.task.places[int(said["number"])]
        self._deadline = time.monotonic() + self._timeout
        if said["kind"] == "begin":
            self._begun = place
        elif said["kind"] == "forked":
            self._forked.add(place)
        elif said["kind"] == "done":
            self.outcomes[place] = Outcome({key: value for key, value in said.items() if key not in ("kind", "number")})
            self._begun = None

    def _see(self) -> None:
        self._output = (self._output + self._read(self._printed))[-_KEPT:]

    def _read(self, descriptor: int) -> bytes:
        try:
            data = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return b""
        if not data:
            self._selector.unregister(descriptor)
        return data

    def over(self) -> bool:
        """Whether it has ended, or must end."""
        if self._process.poll() is not None:
            return True
        self._timed_out = time.monotonic() > self._deadline
        return self._timed_out

    def end(self) -> None:
        """Kill what is left of it, take the last that it said, and settle whose fault it was."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        kill_marked(self._mark)
        for descriptor, take in ((self._said, self._hear), (self._printed, self._see)):
            while descriptor in self._selector.get_map() and _has_data(descriptor):
                take()
            with contextlib.suppress(KeyError):
                self._selector.unregister(descriptor)
            os.close(descriptor)
        shutil.rmtree(self._home, ignore_errors=True)
        for place in self._forked & self.outcomes.keys():
            self.outcomes[place] = Outcome(self.outcomes[place].answer, forked=True)
        if self.task.alone or len(self.task.places) == 1:
            place = self.task.places[0]
            self.outcomes.setdefault(place, Outcome(died=self._how(), output=self._tail(), forked=place in self._forked))

    def _how(self) -> str:
        if self._timed_out:
            return f"did not end within {self._timeout:g} s"
        if self._complete:
            return "ended well, and what it said cannot be understood: something else was written where only it should write"
        status = self._process.returncode
        if status < 0:
            with contextlib.suppress(ValueError):
                return signal.Signals(-status).name
            return f"signal {-status}"
        return f"ended the process with status {status}"

    def _tail(self) -> str:
        text = self._output.decode(errors="replace")
        return "\n".join(line for line in text.splitlines() if not line.startswith(("#", "import ")))[-2000:]

    def rest(self) -> list[_Task]:
        """What has still to be done: the subject it died of in a child of its own, and those behind it."""
        left = [place for place in self.task.places if place not in self.outcomes]
        if not left or len(self.task.places) == 1:
            return []
        batch, number = self.task.batch, self.task.batch_number
        guilty = self._begun if self._begun in left else left[0]
        others = tuple(place for place in left if place != guilty)
        alone = _Task(batch, number, (guilty,), alone=True)
        return [alone, _Task(batch, number, others)] if others else [alone]


def _has_data(descriptor: int) -> bool:
    """Whether a pipe has something to read now, or was closed."""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        return bool(selector.select(timeout=0))


def kill_marked(mark: str) -> None:
    """Kill processes that have this mark in their environment, and those that they have made meanwhile.

    The list of processes is not read at one moment, so it is over when two lists in a row have none.
    """
    wanted, empty = f"{_MARK}={mark}".encode(), 0
    for _ in range(_SCANS):
        found = 0
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found += 1
                    os.kill(int(entry.name), signal.SIGKILL)
        empty = 0 if found else empty + 1
        if empty == 2 or not Path("/proc/self").exists():
            return
        if found:
            time.sleep(0.005)

"""What a worker leaves behind, so that its death has a cause, a test and a phase.

A worker keeps two files in the run's evidence folder: ``gw0.now``, which says in one record what it is doing (it is
rewritten in place at each step, and survives any death, SIGKILL included), and ``gw0.end``, into which whoever ends the
process writes why: the fatal-signal handlers (``_core/crash.c`` and faulthandler), the watch that found a hang, or the
wrapper around ``os._exit``. The controlling process reads both when the worker is gone (:func:`read`).

Tests close file descriptors that are not theirs, and get the same number for a file of their own. So the first file is
memory, and nothing is written to the second one before a look at what its number stands for.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import mmap
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from ftcheck.native import watch
from ftcheck.plugin import said
from ftcheck.verdicts import Verdict

_RECORD = 8192


@dataclass(frozen=True, slots=True)
class Now:
    """What a worker was doing.

    :param phase: ``"start"``, ``"collection"``, ``"setup"``, ``"call"``, ``"teardown"``, ``"between"``, ``"finish"`` (of
        the session), ``"end"`` or ``"exit"`` (of the interpreter).
    :param subject: the node id; of a collector during collection; from ``"between"`` on that of the last test.
    :param round: of the concurrent run, or 0.
    :param asked: whether the run asked for this test to be rerun.
    :param explored: the rounds are interleavings under control.
    :param deadline: when it must be over, in seconds of the monotonic clock; 0: it may take as long as it likes.
    """

    phase: str = "start"
    subject: str = ""
    round: int = 0
    asked: bool = True
    deadline: float = 0.0
    explored: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """Why a worker's process ended.

    :param verdict: crash, hang or deadlock; None for an end that the worker chose itself (:data:`RESTART`).
    :param headline: one line.
    :param detail: stacks of all threads, and the captured output.
    """

    verdict: Verdict | None
    headline: str
    detail: str
    now: Now


RESTART = "restart"


class Recorder:
    """The worker's side."""

    def __init__(self, folder: Path, worker: str) -> None:
        self._map = _mapped(folder / f"{worker}.now")
        self._end_path = folder / f"{worker}.end"
        self._open_end()
        self.now = Now()

    def _open_end(self) -> None:
        self.end_fd = out_of_the_way(os.open(self._end_path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600))
        self._end_identity = identity(self.end_fd)

    def step(self, now: Now) -> None:
        """Say what is done next."""
        self.now = now
        if self._map is not None:
            record = json.dumps(dataclasses.asdict(now)).encode()[: _RECORD - 1] + b"\n"
            self._map[: len(record)] = record

    def last_words(self, kind: str, headline: str, detail: str = "") -> None:
        """Say why the process is about to end."""
        with contextlib.suppress(OSError):
            if identity(self.end_fd) != self._end_identity:
                self._open_end()
            os.write(self.end_fd, f"{kind}: {headline}\n{detail}\n{captured_output()}".encode(errors="replace"))


def _mapped(path: Path) -> mmap.mmap | None:
    """The file as memory; None where there is no room for it (a later write would be a fatal signal then)."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.pwrite(fd, bytes(_RECORD), 0) != _RECORD:
            return None
        return mmap.mmap(fd, _RECORD, trackfd=False)
    except OSError:
        return None
    finally:
        os.close(fd)


def out_of_the_way(fd: int) -> int:
    """The file under a number that tests which close "all" file descriptors seldom reach, in place of this one."""
    high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 200)
    os.close(fd)
    return high


def identity(fd: int) -> tuple[int, int] | None:
    """What a file descriptor stands for; None if it is closed."""
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def captured_output(limit: int = 4096) -> str:
    """The end of what the process has written to fds 2 and 1, where these are files (pytest's capture)."""
    parts = []
    for fd, name in ((2, "stderr"), (1, "stdout")):
        with contextlib.suppress(OSError, ValueError):
            size = os.fstat(fd).st_size
            if size:
                text = os.pread(fd, limit, max(0, size - limit)).decode(errors="replace")
                parts.append(f"{name}-begin\n{text}\n{name}-end\n")
    return "".join(parts)


def read(folder: Path, worker: str, status: int | None, *, killed: bool = False) -> End:
    """Why this worker ended.

    :param status: its exit status as :mod:`subprocess` gives it (negative: a signal), or None if unknown.
    :param killed: it had closed its connection, did not end, and was ended by the controlling process.
    """
    end = _read(folder, worker, status, killed)
    if end.verdict is None or end.now.phase != "call":
        return end
    parts = [end.detail, watch.left_by(races_file(folder, worker)), said.read(folder, worker)]
    return dataclasses.replace(end, detail="\n\n".join(filter(None, parts)).strip("\n"))


def races_file(folder: Path, worker: str) -> Path:
    """Where a worker writes the data races that it sees in extensions."""
    return folder / f"{worker}.races"


def _read(folder: Path, worker: str, status: int | None, killed: bool) -> End:
    now = read_now(folder, worker)
    text = _read_end(folder, worker)
    first, _, rest = text.partition("\n")
    kind, _, words = first.partition(": ")
    if kind == RESTART:
        return End(None, words, "", now)
    if kind in ("deadlock", "hang"):
        return End(Verdict(kind), "not over in time" if now.phase == "exit" else words, readable(rest), now)
    if kind == "exit":
        return End(Verdict.CRASH, words, readable(rest), now)
    if kind == "fatal-signal":
        _, _, name = words.partition(" ")
        return End(Verdict.CRASH, _signal_headline(name, rest, now), readable(rest), now)
    return End(Verdict.CRASH, _KILLED if killed else _status_headline(status, now.phase), readable(text), now)


_KILLED = "the worker closed its connection and did not end (file descriptors that are not the test's own?)"


def read_now(folder: Path, worker: str) -> Now:
    """What a worker is doing, or was when it ended."""
    try:
        line = (folder / f"{worker}.now").read_bytes().partition(b"\n")[0]
        data = json.loads(line)
        phase, subject, number, asked = str(data["phase"]), str(data["subject"]), int(data["round"]), bool(data["asked"])
        return Now(phase, subject, number, asked, float(data["deadline"]), bool(data["explored"]))
    except OSError, ValueError, KeyError, TypeError:
        return Now()


def expect(folder: Path, worker: str, deadline: float) -> None:
    """Before a worker is started: until when it must have begun to keep its own record."""
    (folder / f"{worker}.now").write_text(json.dumps(dataclasses.asdict(Now(deadline=deadline))) + "\n")


def speak_for(folder: Path, worker: str, headline: str) -> None:
    """Say that a worker hangs which cannot say so itself; what it has said already stands."""
    if not _read_end(folder, worker):
        with contextlib.suppress(OSError):
            (folder / f"{worker}.end").write_text(f"hang: {headline}\n")


def _read_end(folder: Path, worker: str) -> str:
    try:
        return (folder / f"{worker}.end").read_text(errors="replace")
    except OSError:
        return ""


def _signal_headline(name: str, rest: str, now: Now) -> str:
    round_ = f" in round {now.round}" if now.round else ""
    address = re.search(r"^fault-address: (\S+)$", rest, re.MULTILINE)
    at = f" at address {address[1]}" if address and name in ("SIGSEGV", "SIGBUS") else ""
    message = re.search(
        r"^(Fatal Python error: (?!Segmentation|Aborted|Bus|Illegal|Floating).*|\*\*\* .+ \*\*\*.*)$", rest, re.M
    )
    # A thread of ours says "here". A thread that the tested code has started does not; it may be an earlier test's.
    whose = "" if "got the signal here" in rest else " in a thread that the tested code has started"
    return f"{name}{at}{round_}{whose}" + (f": {message[1]}" if message else "")


def _status_headline(status: int | None, phase: str) -> str:
    if status is None:
        return "the worker process ended without a word"
    if status >= 0:
        early = "" if phase == "exit" else ", without running its exit handlers to the end"
        return f"the process exited with status {status}{early}"
    import signal

    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hint = " (the kernel sends it when memory runs out; so does `kill -9`)" if name == "SIGKILL" else ""
    return f"{name}{hint}"


_HEADINGS = {
    "stderr-begin": "--- captured stderr (its end) ---",
    "stdout-begin": "--- captured stdout (its end) ---",
    "faulthandler-begin": "--- faulthandler: the thread that got the signal ---",
}


def readable(text: str) -> str:
    """The raw text of the handlers as it is shown to people: without the frames of the test harness itself, and without
    the threads of which nothing is left then.
    """
    shown: list[str] = []
    for line in text.splitlines():
        if line.startswith("thread-begin: "):
            line = f"--- {line.removeprefix('thread-begin: ')} ---"
        elif line in ("thread-end", "stderr-end", "stdout-end") or line.startswith("fault-address: "):
            line = ""
        line = _HEADINGS.get(line, line)
        if line.startswith('  File "') and _HARNESS.search(line):
            continue
        if _is_heading(line) or not line:
            _drop_empty(shown)
        shown.append(line)
    _drop_empty(shown)
    return re.sub(r"\n{2,}", "\n\n", "\n".join(shown)).strip("\n")


def _is_heading(line: str) -> bool:
    return line.startswith(("--- thread ", "--- main thread", "Thread 0x", "Current thread 0x"))


def _drop_empty(lines: list[str]) -> None:
    while lines and _is_heading(lines[-1]) and "got the signal" not in lines[-1] and "C stack" not in lines[-1]:
        lines.pop()


_HARNESS = re.compile(
    r'File "(<string>|[^"]*/'
    r'(site-packages/(_pytest|pluggy|xdist|execnet|pytest)/|ftcheck/(plugin/|stress/|workload\.py)|threading\.py))[^"]*"'
)


def exit_words(code: object) -> str:
    """The headline for a call of ``os._exit``."""
    return f"os._exit({code!r}) was called"


def python_stack() -> str:
    """The calling thread's Python stack, innermost first, without this module."""
    frame = sys._getframe(1)
    lines = []
    while frame is not None:
        if frame.f_code.co_filename != __file__:
            lines.append(f'  File "{frame.f_code.co_filename}", line {frame.f_lineno}, in {frame.f_code.co_qualname}')
        frame = frame.f_back  # type: ignore[assignment]
    return "\n".join(lines)

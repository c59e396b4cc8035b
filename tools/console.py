"""How the tools of this folder talk: to the reader (progress, errors) and to the machine (commands).

Progress goes to stderr, so that stdout holds nothing but a tool's answer.  What a reader can mend
is raised as `Trouble`: one line that says what is wrong, and what to do; `main` prints both and
ends.  Every command runs in a process group of its own with a time limit; whatever ends it early
(the limit, Ctrl-C, a bug) ends the whole group, so nothing keeps running behind the reader's back.

Standard library only, and Python 3.9: these files run before there is any environment.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Callable

USAGE, NOT_FOUND = 2, 3  # exit codes: a wrong option or FTCHECK_PYTHON; no interpreter could be had
verbose = False


class Trouble(Exception):
    """Something the reader can mend: what is wrong, and what to do about it."""

    def __init__(self, what: str, todo: str = "", code: int = NOT_FOUND) -> None:
        super().__init__(what)
        self.todo, self.code = todo, code


class Stopped(BaseException):
    """A signal asked the program to end (Ctrl-C has Python's own KeyboardInterrupt)."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _paint(text: str, code: str) -> str:
    colours = sys.stderr.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    return f"\033[{code}m{text}\033[0m" if colours else text


def say(text: str) -> None:
    """One line of progress."""
    print(_paint("==>", "1;34"), text, file=sys.stderr, flush=True)


def detail(text: str) -> None:
    """One line for those who asked for --verbose."""
    if verbose:
        print("   ", text, file=sys.stderr, flush=True)


def run(
    command: Sequence[str],
    *,
    timeout: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command without a terminal, in its own process group; keep what it prints.

    `env` is added to this process's own environment.  Raises TimeoutExpired and OSError; what
    the exit code means is the caller's business.
    """
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        cwd=cwd,
        env={**os.environ, **(env or {})},
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def last_line(text: str, limit: int = 160) -> str:
    """The last line that says something: of a traceback, the exception."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:limit] if lines else "it printed nothing"


def _on_signal(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)


def main(body: Callable[[], int]) -> int:
    """Run a tool's body; turn Trouble, a full disk and signals into a clear last line and an exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _on_signal)
    try:
        return body()
    except Trouble as trouble:
        print(_paint("error:", "1;31"), trouble, file=sys.stderr)
        for line in trouble.todo.splitlines():
            print("      ", line, file=sys.stderr)
        return trouble.code
    except KeyboardInterrupt:
        print("interrupted; nothing half-made was left behind", file=sys.stderr)
        return 130
    except Stopped as stopped:
        return 128 + stopped.number


class DiskFull(Trouble):
    pass


def disk_full(folder: Path, needed_mb: int) -> DiskFull:
    return DiskFull(
        f"the disk is full at {folder}: about {needed_mb} MB are needed there",
        "Free some space, or set FTCHECK_CACHE to a folder on a disk that has it.",
    )


def is_disk_full(error: Any) -> bool:
    """Does this exception, or this output of a command, say ENOSPC (or its cousin, a used-up quota)?"""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return any(os.strerror(number) in str(error) for number in (errno.ENOSPC, errno.EDQUOT))

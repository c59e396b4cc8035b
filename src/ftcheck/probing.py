"""Runs a probe by an interpreter, in a child process that may crash, hang, or leave others behind.

A probe is a Python file that any version can run and that needs nothing of ftcheck. It is given the path of a task (JSON),
and writes what it finds line by line (JSON, to the file that the task names): so what it had found is known whatever became
of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MARK = "which requires the GIL"
"""In what the interpreter says with ``-v`` of each module that turns the GIL on (CPython ``Python/import.c``)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it.

    :param lines: that the probe has written, each an object.
    :param status: of the process; negative: the signal that ended it; None: it was not over in time.
    :param words: the lines on its standard error.
    """

    lines: tuple[dict[str, Any], ...]
    status: int | None
    words: tuple[str, ...]

    @property
    def requiring(self) -> tuple[str, ...]:
        """The modules that have turned the GIL on, or would have: where the interpreter was begun with ``-v``."""
        found = [line.split("'")[1] for line in self.words if _MARK in line and line.count("'") > 1]
        return tuple(dict.fromkeys(found))


def run(
    command: Sequence[str],
    probe: Path,
    task: Mapping[str, Any],
    timeout: float,
    *,
    environment: Mapping[str, str] | None = None,
    here: bool = False,
) -> Answer:
    """Run a probe to its end, and whatever it has begun with it.

    :param command: the interpreter, and its options.
    :param timeout: seconds.
    :param environment: None: this process's.
    :param here: in this process's folder; else in a temporary one.
    """
    with tempfile.TemporaryDirectory(prefix="ftcheck-probe-") as folder:
        results, stderr, file = (os.path.join(folder, name) for name in ("results", "stderr", "task"))
        Path(file).write_text(json.dumps({**task, "results": results}), encoding="utf-8")
        with open(stderr, "wb") as words:
            try:
                child = subprocess.Popen(
                    [*command, "-c", probe.read_text(encoding="utf-8"), file], stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL, stderr=words, env=environment, cwd=None if here else folder,
                    start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                return Answer((), 126, (str(error.strerror),))
            try:
                status: int | None = child.wait(timeout)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        said = Path(stderr).read_text(encoding="utf-8", errors="replace").splitlines()
        return Answer(_lines(Path(results)), status, tuple(said))


def _lines(results: Path) -> tuple[dict[str, Any], ...]:
    found = []
    with contextlib.suppress(OSError):
        for line in results.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):  # the last one may be cut off
                found.append(json.loads(line))
    return tuple(found)

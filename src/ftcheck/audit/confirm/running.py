"""Runs programs in processes of their own, with the GIL off or on, and says how each ended.

A process gets a session, a temporary folder as its home, and a time limit. When it is over, whatever it has left in its
session or with its mark in the environment is killed (:func:`ftcheck.audit.probes.kill_marked`). Its output goes to a file
of which the end is kept: a crash report of :mod:`faulthandler`, whose C stack (CPython 3.14) says in which function of the
module it crashed, if the module still has its table of symbols or debugging information.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftcheck.audit.confirm.words import ConfirmError, Run
from ftcheck.audit.probes import Probes, kill_marked
from ftcheck.native import symbols

_ANSWER = re.compile(r"^ftcheck-workload (\{.*\})$", re.MULTILINE)
_FRAME = re.compile(r'Binary file "([^"]+)"(?:, at ([^+\s\[]*)\+(0x[0-9a-f]+))?')
_KEPT = 64 << 10
_PYTHON = re.compile(r"(^|/)(libpython|python|libc[.-]|libpthread|ld-)[^/]*$")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended.

    :param how: ``"well"``, ``"SIGSEGV"``, ``"hang"``, ``"status 3"``.
    """

    how: str
    output: str
    seconds: float


class Runner:
    """Processes of one interpreter, one at a time, in a folder that goes when this is left.

    :param python: its executable. :param path: entries that come first in its ``sys.path``.
    :param timeout: seconds after which a process hangs.
    """

    def __init__(self, python: str, *, timeout: float, path: Sequence[str] = ()) -> None:
        self.python, self.timeout, self.path = python, timeout, tuple(os.path.abspath(one) for one in path)
        self._probes = Probes(python, timeout=timeout, jobs=1)
        facts = self._probes.facts()
        if not facts["free_threaded"]:
            raise ConfirmError(
                f"{python} is CPython {facts['version']} with the GIL, and cannot run without: name a free-threaded one "
                "with --python (uv python install 3.14t)"
            )
        self.version = str(facts["version"])
        self._probes = Probes(python, timeout=timeout, jobs=1, user_base=str(facts["user_base"]))

    def start(self, program: Path, *words: str, gil: bool, timeout: float = 0) -> Ended:
        """Run a program to its end, or kill it.

        :param gil: whether the GIL is forced on, or off.
        :param timeout: seconds, where they are not the runner's.
        """
        mark, limit = uuid.uuid4().hex, timeout or self.timeout
        with tempfile.TemporaryDirectory(prefix="ftcheck-confirm-", ignore_cleanup_errors=True) as home:
            environment = {**self._probes.environment(home, mark), "PYTHON_GIL": str(int(gil))}
            paths = [*self.path, *filter(None, [environment.get("PYTHONPATH")])]
            if paths:
                environment["PYTHONPATH"] = os.pathsep.join(paths)
            with tempfile.TemporaryFile() as output:
                began = time.monotonic()
                process = subprocess.Popen(
                    [self.python, str(program), *words],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=home,
                    env=environment,
                    start_new_session=True,
                )
                hangs = False
                try:
                    process.wait(limit)
                except subprocess.TimeoutExpired:
                    hangs = True
                finally:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    kill_marked(mark)
                seconds = time.monotonic() - began
                size = output.seek(0, os.SEEK_END)
                output.seek(max(0, size - _KEPT))
                text = output.read().decode(errors="replace")
        return Ended("hang" if hangs else _how(process.returncode), text, seconds)

    def ask(self, kind: str, timeout: float = 0, **orders: Any) -> tuple[list[Mapping[str, Any]], Ended]:
        """What ``trial_child.py`` says to an order, and how it ended; its last line is ``end`` if it came so far."""
        with tempfile.TemporaryDirectory(prefix="ftcheck-confirm-") as folder:
            order, answers = Path(folder, "order.json"), Path(folder, "answers.jsonl")
            order.write_text(json.dumps({"kind": kind, "path": self.path, **orders}), encoding="utf-8")
            ended = self.start(
                Path(__file__).with_name("trial_child.py"), str(order), str(answers), gil=False, timeout=timeout
            )
            lines = answers.read_text(encoding="utf-8", errors="replace").splitlines() if answers.exists() else []
        said = []
        for line in lines:
            with contextlib.suppress(ValueError):  # the last one may be cut off
                said.append(json.loads(line))
        return said, ended

    def run(self, text: str, *, gil: bool) -> Run:
        """Run a workload's program once."""
        with tempfile.TemporaryDirectory(prefix="ftcheck-confirm-") as folder:
            path = Path(folder, "workload.py")
            path.write_text(text, encoding="utf-8")
            ended = self.start(path, gil=gil)
        found = _ANSWER.findall(ended.output)
        if ended.how != "well" or not found:
            how = ended.how if ended.how != "well" else "an end without a result"
            return Run(gil, how, seconds=ended.seconds, stack=stack(ended.output), output=ended.output[-4000:])
        said = json.loads(found[-1])
        return Run(
            gil,
            "well",
            bool(said["gil"]),
            int(said["calls"]),
            tuple(sorted(said["raised"].items())),
            tuple(said["wrong"]),
            bool(said["compared"]),
            float(said["seconds"]),
        )


def _how(status: int) -> str:
    if status >= 0:
        return f"status {status}" if status else "well"
    with contextlib.suppress(ValueError):
        return signal.Signals(-status).name
    return f"SIG{-status}"


def stack(output: str) -> tuple[str, ...]:
    """Functions of extension modules in the C stack of a crash report, innermost first."""
    _, head, trace = output.rpartition("C stack trace")
    found: list[str] = []
    for file, name, offset in _FRAME.findall(trace if head else ""):
        if not offset or _PYTHON.search(file) or not re.search(r"\.so(\.\d+)*$", file):
            continue
        if name:
            found.append(name)
            continue
        place = int(offset, 16)
        lines = symbols.lines(file, [max(0, place - 1) if found else place])
        inlined = [line.function for some in lines.values() for line in some if line.file]
        found += inlined or [symbols.function(file, place) or f"{os.path.basename(file)}+{offset}"]
    return tuple(found)

"""Asks another interpreter, in child processes that may crash or hang: what it is, and what its modules do to the GIL."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_FACTS_SECONDS, _IMPORT_SECONDS = 60.0, 60.0
_MARK = "which requires the GIL"


def ask(python: str) -> dict[str, Any] | str:
    """What an interpreter says of itself and of its environment; or why it does not."""
    lines, status, words = _run([python], {}, _FACTS_SECONDS, None)
    if lines:
        return lines[-1]
    if status is None:
        return f"it did not answer in {_FACTS_SECONDS:g} s"
    return f"it does not run as CPython 3.8 or later (status {status}{f': {words[-1]}' if words else ''})"


def gil_of(python: str, names: Sequence[str], timeout: float = _IMPORT_SECONDS) -> dict[str, str]:
    """What an import of each of these does to the GIL: see :class:`ftcheck.audit.record.Module`.

    They are imported in one process. Where that dies, the next one goes on behind the module that was its end.

    :param timeout: seconds for a process.
    """
    found: dict[str, str] = {}
    left = list(names)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON_GIL"}
    while left:
        lines, status, words = _run([python, "-v"], {"names": left}, timeout, environment)
        asking = {line.split("'")[1] for line in words if _MARK in line and line.count("'") > 1}
        current = ""
        for line in lines:
            current = line.get("begins", "")
            if "imported" in line:
                name = line["imported"]
                found[name] = f"cannot be imported: {line['error']}" if line["error"] else "keeps it off"
        for name in asking:
            found[name] = "turns it on"
        if current:
            how = "is not over in time" if status is None else _how(status)
            found[current] = f"cannot be imported: it {how}"
        rest = [name for name in left if name not in found]
        if len(rest) == len(left):
            return found | dict.fromkeys(rest, "cannot be imported: the interpreter does not start")
        left = rest
    return found


def _how(status: int) -> str:
    return f"crashes ({signal.Signals(-status).name})" if status < 0 else f"ends the process (status {status})"


def _run(
    command: Sequence[str], task: dict[str, Any], timeout: float, environment: dict[str, str] | None
) -> tuple[list[dict[str, Any]], int | None, list[str]]:
    """The lines that the child has written, its status (None: it did not end in time), and the lines on its stderr."""
    source = Path(__file__).with_name("record_probe.py").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="ftcheck-record-") as folder:
        results, stderr = os.path.join(folder, "results"), os.path.join(folder, "stderr")
        file = Path(folder, "task")
        file.write_text(json.dumps({**task, "results": results}), encoding="utf-8")
        with open(stderr, "wb") as words:
            try:
                child = subprocess.Popen(
                    [*command, "-c", source, str(file)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=words,
                    env=environment, cwd=folder, start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                return [], 126, [str(error.strerror)]
            try:
                status: int | None = child.wait(timeout)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        lines = []
        with contextlib.suppress(OSError):
            for line in Path(results).read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError):  # the last one may be cut off
                    lines.append(json.loads(line))
        return lines, status, Path(stderr).read_text(encoding="utf-8", errors="replace").splitlines()

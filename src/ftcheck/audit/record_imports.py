"""Asks another interpreter, in child processes that may crash or hang: what it is, and what its modules do to the GIL."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftcheck import probing

_FACTS_SECONDS, _IMPORT_SECONDS = 60.0, 60.0
_PROBE = Path(__file__).with_name("record_probe.py")


def ask(python: str) -> dict[str, Any] | str:
    """What an interpreter says of itself and of its environment; or why it does not."""
    answer = probing.run([python], _PROBE, {}, _FACTS_SECONDS)
    if answer.lines:
        return answer.lines[-1]
    if answer.status is None:
        return f"it did not answer in {_FACTS_SECONDS:g} s"
    words = f": {answer.words[-1]}" if answer.words else ""
    return f"it does not run as CPython 3.8 or later (status {answer.status}{words})"


def gil_of(python: str, names: Sequence[str], timeout: float = _IMPORT_SECONDS) -> dict[str, str]:
    """What an import of each of these does to the GIL: see :class:`ftcheck.audit.record.Module`.

    They are imported in one process. Where that dies, the next one goes on behind the module that was its end.

    :param timeout: seconds for a process.
    """
    found: dict[str, str] = {}
    left = list(names)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON_GIL"}
    while left:
        answer = probing.run([python, "-v"], _PROBE, {"names": left}, timeout, environment=environment)
        current = ""
        for line in answer.lines:
            current = line.get("begins", "")
            if "imported" in line:
                name = line["imported"]
                found[name] = f"cannot be imported: {line['error']}" if line["error"] else "keeps it off"
        for name in answer.requiring:
            found[name] = "turns it on"
        if current:
            how = "is not over in time" if answer.status is None else _how(answer.status)
            found[current] = f"cannot be imported: it {how}"
        rest = [name for name in left if name not in found]
        if len(rest) == len(left):
            return found | dict.fromkeys(rest, "cannot be imported: the interpreter does not start")
        left = rest
    return found


def _how(status: int) -> str:
    return f"crashes ({signal.Signals(-status).name})" if status < 0 else f"ends the process (status {status})"

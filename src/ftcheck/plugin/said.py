"""What threads had printed and logged when the process died.

``output.py`` keeps the output of each thread in memory, and with the process it would be gone: just when it is wanted.
So a worker also appends every piece to a file, ``gw0.said``, one JSON record a line; the controlling process reads the
end of it when the worker is gone. The file is emptied for each test, and whenever it gets long.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

_MOST = 256 * 1024
_SHOWN = 4000
"""Characters of each thread's output that are shown, from the end."""


class Said:
    """The worker's side.

    :param folder: the run's evidence folder.
    :param worker: the worker's name.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        self._path = _path(folder, worker)
        self._size = 0
        self._process = os.getpid()

    def clear(self) -> None:
        """A test begins."""
        self._size = 0
        with contextlib.suppress(OSError):
            os.truncate(self._path, 0)

    def note(self, thread: int, round: int, kind: str, text: str) -> None:
        """A thread has written something. Not from a forked child: that has its own end."""
        if os.getpid() != self._process:
            return
        record = (json.dumps([thread, round, kind, text]) + "\n").encode()
        if self._size > _MOST:
            self.clear()
        self._size += len(record)
        # Opened each time: a test may close every file descriptor there is, and this one could then be another file.
        with contextlib.suppress(OSError), open(self._path, "ab", buffering=0) as file:
            file.write(record)


def read(folder: Path, worker: str) -> str:
    """What the threads had written in the last round, thread by thread; empty if nothing."""
    try:
        lines = _path(folder, worker).read_text(errors="replace").splitlines()
    except OSError:
        return ""
    records = [record for line in lines if (record := _record(line)) is not None]
    last = max((round for _, round, _, _ in records), default=0)
    texts: dict[tuple[int, str], str] = {}
    for thread, round, kind, text in records:
        if round == last:
            texts[thread, kind] = texts.get((thread, kind), "") + text
    parts = [
        f"--- {kind} of thread {thread} in round {last} ---\n{text[-_SHOWN:]}"
        for (thread, kind), text in sorted(texts.items())
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts)


def _record(line: str) -> tuple[int, int, str, str] | None:
    """One line of the file; None for one that was cut off by the end."""
    try:
        thread, round, kind, text = json.loads(line)
        return int(thread), int(round), str(kind), str(text)
    except ValueError, TypeError:
        return None


def _path(folder: Path, worker: str) -> Path:
    return folder / f"{worker}.said"

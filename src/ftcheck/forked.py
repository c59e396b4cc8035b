"""Children that a test forks, and that come back from it.

A forked child is to do its work and end (``os._exit``). One that returns from the test function instead, or raises out of
it, would go on as a second test run: on the same connection, into the same files, with the fixtures of its parent. So
whoever calls a test's code asks :meth:`Forks.end_child` when the call is over. In the parent that is one cheap system
call; a child ends there, after it has left a note in memory that it shares with its parent (:meth:`Forks.take_note`).
"""

from __future__ import annotations

import mmap
import os

_SIZE = 1024


class Forks:
    """The children of the process that makes this."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._note = mmap.mmap(-1, _SIZE)  # anonymous and shared: what a child writes, the parent reads
        self._subject = ""

    def begin(self, subject: str) -> None:
        """Say whose code is called next: a child that is forked there has this name in its note."""
        self._subject = subject

    def end_child(self, failure: BaseException | None = None) -> None:
        """Return if this is the process that made the object. If it is a child of it, end: status 0, or 1 after a failure.

        :param failure: what the child raised instead of returning. A :exc:`SystemExit` gives its own status.
        """
        if os.getpid() == self._owner:
            return
        status, how = 0, "came back from the code that forked it"
        if failure is not None:
            status, how = 1, f"left the code that forked it with {type(failure).__qualname__}: {failure}"
        if isinstance(failure, SystemExit):
            status = failure.code if isinstance(failure.code, int) else int(failure.code is not None)
        text = f"{self._subject}\n{how}".encode(errors="replace")[: _SIZE - 1]
        self._note[: len(text) + 1] = text + b"\0"
        os._exit(status & 0xFF)

    def take_note(self) -> tuple[str, str] | None:
        """The subject of the last child that came back, and how it did; None if none did since the last call."""
        if self._note[0] == 0:
            return None
        text = bytes(self._note).partition(b"\0")[0].decode(errors="replace")
        self._note[:1] = b"\0"
        subject, _, how = text.partition("\n")
        return subject, how

"""Threads that block where nobody controls them: a socket, a lock in C, a child process; and threads that nobody controls.

While a run is under way one thread has the token. If that thread sleeps in the kernel, all others would wait for it, and
perhaps it waits for one of them. So a watchdog looks (``_core/outside.c``), and hands the token on; what it does to a run is
said in ``_core/gate.c``. Here is the part that needs Python: where that thread is.

The other way round, all threads of a run may wait for one that is not of the run (``_core/strangers.c``). Whether there is
such a thread is found here.
"""

from __future__ import annotations

import os
import sys
import threading
import types
from collections.abc import Container

from ftcheck import _core


class Watchdog:
    """A thread that watches, while this is entered.

    :param watched: the identities of code that has scheduling points; only there an event can be shown.
    """

    def __init__(self, watched: Container[int]) -> None:
        self._watched = watched
        self._thread = threading.Thread(target=self._watch, name="ftcheck-watchdog", daemon=True)

    def __enter__(self) -> None:
        _core.watch_stalls(True)
        self._thread.start()
        _core.look_for_strangers(self._strangers)

    def __exit__(self, *args: object) -> None:
        _core.look_for_strangers(None)
        _core.watch_stalls(False)
        self._thread.join()

    def _strangers(self, of_the_run: list[int]) -> int:
        """A number for the threads that are not of the run; 0: there is none.

        Who asks is of the run, also if it has just come to its end there.
        """
        known = {*of_the_run, *(thread.ident for thread in _core.idle_threads()), self._thread.ident, threading.get_ident()}
        found = [ident for ident, frame in sys._current_frames().items() if ident not in known and not _harness(frame)]
        return hash(frozenset(found)) or 1 if found else 0

    def _watch(self) -> None:
        while (stalled := _core.await_stall()) is not None:
            token, ident = stalled
            _core.hand_on(token, *_place(sys._current_frames().get(ident), self._watched))


def _harness(frame: types.FrameType | None) -> bool:
    """Whether a thread belongs to pytest-xdist's connection or to another plugin: nothing in a test waits for it."""
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0].startswith(("execnet", "pytest_")):
            return True
        frame = frame.f_back
    return False


def _place(frame: types.FrameType | None, watched: Container[int]) -> tuple[str, types.CodeType | None, int]:
    """Where a thread is, in words, and where in the code under test."""
    if frame is None:
        return "a thread that has no Python code", None, -1
    inner, own = frame, frame
    while id(own.f_code) not in watched and own.f_back is not None:
        own = own.f_back
    if id(own.f_code) not in watched:
        return _line(inner), None, -1
    where = _line(own) if own is inner else f"{_line(own)}, in {inner.f_code.co_qualname}()"
    return where, own.f_code, own.f_lasti


def _line(frame: types.FrameType) -> str:
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"

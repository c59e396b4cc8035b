"""A worker's watch over itself: whatever ends this process, it says why first.

Three nets, each for what the one before cannot catch. The engine finds rounds that do not end. A thread of ours
(:class:`_PhaseWatch`) finds set-ups, teardowns and tests run alone that do not end. And when no Python code can run any
more (a C loop that holds the GIL, or keeps a stop-the-world pause waiting), the dead man's switch (``_core/deadman.c``),
a plain C thread with the same deadlines and a little more patience, writes the stacks and ends the process.
"""

from __future__ import annotations

import faulthandler
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ftcheck import _core, stress
from ftcheck.plugin import evidence
from ftcheck.plugin.evidence import Now, Recorder
from ftcheck.stress.stall import stacks

EXIT_STATUS = 70
_TICK = 0.5
_GRACE = 2.0
_LAST_GRACE = 5.0


class Guard:
    """Installed once in a worker process.

    :param folder: where the evidence goes.
    :param worker: the worker's name (``gw0``).
    """

    def __init__(self, folder: Path, worker: str) -> None:
        self._recorder = Recorder(folder, worker)
        self._watch = _PhaseWatch(self._recorder)
        self._real_exit: Callable[[int], object] = os._exit

    def start(self) -> None:
        """Take over fatal signals and ``os._exit``, and begin to watch."""
        _core.watch_fatal_signals(self._recorder.end_fd)
        faulthandler.enable(file=self._recorder.end_fd)
        _core.watch_fatal_signals(self._recorder.end_fd)
        _core.enter_thread("main thread")
        _core.dead_man(0, EXIT_STATUS)
        self._watch.start()
        owner = os.getpid()
        recorder, real_exit = self._recorder, self._real_exit

        def noted_exit(status: int) -> None:
            if os.getpid() == owner:
                recorder.last_words("exit", evidence.exit_words(status), evidence.python_stack())
            real_exit(status)

        os._exit = noted_exit  # type: ignore[assignment]

    def take_over_faulthandler(self) -> None:
        """Again, after pytest's own plugin has given faulthandler another file."""
        faulthandler.enable(file=self._recorder.end_fd)

    def stop(self) -> None:
        """Give back what :meth:`start` took. The evidence files stay open: the process ends soon."""
        os._exit = self._real_exit  # type: ignore[assignment]
        self._watch.watch(Now("end"), None)

    def step(self, phase: str, subject: str, timeout: float | None) -> None:
        """Note what is done next, and within how many seconds it must be over (None: watched by someone else)."""
        now = Now(phase, subject)
        self._recorder.step(now)
        self._watch.watch(now, timeout)

    def round(self, number: int, timeout: float) -> None:
        """A round begins: it has ``timeout`` seconds."""
        now = Now("call", self._recorder.now.subject, number)
        self._recorder.step(now)
        self._watch.watch(now, timeout + _GRACE)

    def stalled(self, stall: stress.Stall, headline: str) -> None:
        """A round does not end: say so and end the process. Does not return."""
        self._recorder.last_words(stall.kind, headline, _described(stall))
        self._real_exit(EXIT_STATUS)

    def restart(self, reason: str) -> None:
        """End the process so that the next test gets a new one. Does not return."""
        self._recorder.last_words(evidence.RESTART, reason)
        self._real_exit(EXIT_STATUS)


def _described(stall: stress.Stall) -> str:
    places = [f"{label}: round {number}, {place}" for label, number, place in _core.places() if number >= 0]
    return "\n".join([*places, "", stall.stacks])


class _PhaseWatch(threading.Thread):
    def __init__(self, recorder: Recorder) -> None:
        super().__init__(name="ftcheck-watch", daemon=True)
        self._recorder = recorder
        self._current: tuple[Now, float | None, float] = (Now(), None, 0.0)

    def watch(self, now: Now, timeout: float | None) -> None:
        # At once, not at the next tick: by then C code may hold the GIL, and this thread never gets a turn again.
        _core.dead_man(0 if timeout is None else timeout + _LAST_GRACE, EXIT_STATUS)
        began = time.monotonic()
        self._current = (now, None if timeout is None else began + timeout, began)

    def run(self) -> None:
        while True:
            time.sleep(_TICK)
            now, deadline, began = self._current
            if deadline is None:
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                self._recorder.last_words("hang", f"{now.phase} not over after {time.monotonic() - began:.1f} s", stacks())
                _EXIT(EXIT_STATUS)


_EXIT = os._exit

"""A worker's watch over itself: whatever ends this process, it says why first.

Three nets, each for what the one before cannot catch. The engine finds rounds that do not end. A thread of ours
(:class:`_PhaseWatch`) finds set-ups, teardowns and tests run alone that do not end. And when no Python code can run any
more (a C loop that holds the GIL, or keeps a stop-the-world pause waiting), the dead man's switch (``_core/deadman.c``),
a plain C thread with the same deadlines and a little more patience, writes the stacks and ends the process. A fourth one
is outside: the controlling process ends a worker that can do none of this (``workers.py``).

The worker leads a process group of its own: a signal that a test sends to its group does not reach the controlling
process, and what a test has started can be ended with the worker.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import faulthandler
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from ftcheck import _core, stress
from ftcheck.plugin import evidence
from ftcheck.plugin.evidence import Now, Recorder
from ftcheck.plugin.said import Said
from ftcheck.stress.stall import stacks

EXIT_STATUS = 70
_TICK = 0.5
_GRACE = 2.0
_LAST_GRACE = 5.0
_THREADS_LEFT = 5.0
"""Seconds for which threads that tests have left behind are waited for at the exit."""
_ORPHAN_LIMIT = 10.0
"""Seconds that a worker has to end when the controlling process is gone."""


class Guard:
    """Installed once in a worker process.

    :param folder: where the evidence goes.
    :param worker: the worker's name (``gw0``).
    :param connection: the file descriptors through which the worker is controlled.
    """

    def __init__(self, folder: Path, worker: str, connection: Collection[int] = ()) -> None:
        self._recorder = Recorder(folder, worker)
        self.said = Said(folder, worker)
        self.races_file = evidence.races_file(folder, worker)
        self._watch = _PhaseWatch(self._recorder, folder)
        self._real_exit: Callable[[int], object] = os._exit
        self._shutdown_threads: Callable[[], object] = threading._shutdown  # type: ignore[attr-defined]
        self._exit_limit: float | None = None
        self._connection = {fd: evidence.identity(fd) for fd in connection}

    def start(self) -> None:
        """Take over fatal signals and ``os._exit``, and begin to watch."""
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        self._watch_signals()
        _core.enter_thread("main thread")
        _core.dead_man(0, EXIT_STATUS)
        self._recorder.step(Now())
        self._watch.start()
        threading._shutdown = self._leave  # type: ignore[attr-defined]
        os.register_at_fork(after_in_child=self._let_go_of_connection)
        owner = os.getpid()
        recorder, real_exit = self._recorder, self._real_exit

        def noted_exit(status: int) -> None:
            if os.getpid() == owner:
                recorder.last_words("exit", evidence.exit_words(status), evidence.python_stack())
            real_exit(status)

        os._exit = noted_exit  # type: ignore[assignment]

    def _watch_signals(self) -> None:
        _core.watch_fatal_signals(self._recorder.end_fd)
        faulthandler.enable(file=self._recorder.end_fd)
        _core.watch_fatal_signals(self._recorder.end_fd)

    def take_over_faulthandler(self) -> None:
        """Again, after pytest's own plugin has given faulthandler another file."""
        faulthandler.enable(file=self._recorder.end_fd)

    def stop(self) -> None:
        """Give back ``os._exit``. The evidence files stay open: the interpreter's exit is still to come."""
        os._exit = self._real_exit  # type: ignore[assignment]
        self._note(Now("end", self._recorder.now.subject), None)

    def step(self, phase: str, subject: str, timeout: float | None, *, asked: bool = True) -> None:
        """Note what is done next, and within how many seconds it must be over (None: as long as it likes)."""
        if phase == "call":
            self.said.clear()
        self._note(Now(phase, subject, asked=asked), timeout)

    def round(self, number: int, timeout: float, explored: bool = False) -> None:
        """A round begins, or an interleaving: it has ``timeout`` seconds."""
        self.look_after_connection()
        now = self._recorder.now
        self._note(Now("call", now.subject, number, now.asked, explored=explored), timeout + _GRACE)

    def between(self) -> None:
        """The test is over, and the next one has not begun."""
        now = self._recorder.now
        self._note(Now("between", now.subject, asked=now.asked), None)

    def finish(self, timeout: float) -> None:
        """The session is about to be finished: that, too, must be over within so many seconds, and so the process's exit."""
        self._exit_limit = timeout
        self._note(Now("finish", self._recorder.now.subject), timeout)

    def _note(self, now: Now, timeout: float | None) -> None:
        if timeout is not None:
            now = dataclasses.replace(now, deadline=time.monotonic() + timeout)
        self._recorder.step(now)
        self._watch.watch(now, timeout)

    def look_after_connection(self) -> None:
        """End the process, with a reason, if its connection is no longer what it was: nothing could be reported."""
        lost = [fd for fd, was in self._connection.items() if evidence.identity(fd) != was]
        if lost:
            these = ", ".join(map(str, sorted(lost)))
            words = f"closed file descriptors of the test runner ({these}), so that nothing more can be reported"
            self._recorder.last_words("exit", words)
            self._real_exit(EXIT_STATUS)

    def _let_go_of_connection(self) -> None:
        """In a forked child: as long as it had the connection, the controlling process could not see this one's end."""
        with contextlib.suppress(OSError):
            nowhere = os.open(os.devnull, os.O_RDWR)
            for fd, was in self._connection.items():
                if evidence.identity(fd) == was:
                    os.dup2(nowhere, fd, inheritable=False)
            os.close(nowhere)

    def stalled(self, stall: stress.Stall, headline: str) -> None:
        """A round does not end: say so and end the process. Does not return."""
        self._recorder.last_words(stall.kind, headline, _described(stall))
        self._real_exit(EXIT_STATUS)

    def restart(self, reason: str) -> None:
        """End the process so that the next test gets a new one. Does not return."""
        self._recorder.last_words(evidence.RESTART, reason)
        self._real_exit(EXIT_STATUS)

    def _leave(self) -> None:
        """What the interpreter calls first at its exit, in place of ``threading._shutdown``, which waits for every thread.

        A thread that a test has left behind may never end. So it is waited for, but not long; then the exit handlers are
        run and the process ends without the rest of the interpreter's exit, which such a thread could still disturb.
        """
        self._watch_signals()  # again: pytest's own faulthandler plugin has let go of faulthandler by now
        self._note(Now("exit", self._recorder.now.subject), self._exit_limit)
        waiting = threading.Thread(target=self._shutdown_threads, name="ftcheck-exit", daemon=True)
        waiting.start()
        waiting.join(_THREADS_LEFT)
        if waiting.is_alive():
            atexit._run_exitfuncs()
            self._real_exit(0)


def connection(config: pytest.Config) -> tuple[int, ...]:
    """In a worker: the file descriptors of its connection to the controlling process."""
    for plugin in config.pluginmanager.get_plugins():
        io = getattr(getattr(getattr(plugin, "channel", None), "gateway", None), "_io", None)
        if io is not None:
            return tuple(getattr(io, name).fileno() for name in ("infile", "outfile") if hasattr(io, name))
    return ()


def evidence_folder(config: pytest.Config) -> tuple[Path, str] | None:
    """In a worker of an isolated run: its evidence folder and its name."""
    given = getattr(config, "workerinput", {})
    folder = given.get("ftcheck_evidence")
    return (Path(folder), str(given["workerid"])) if folder and os.path.isdir(folder) else None


def _described(stall: stress.Stall) -> str:
    places = [f"{label}: round {number}, {place}" for label, number, place in _core.places() if number >= 0]
    return "\n".join([*places, "", stall.stacks])


class _PhaseWatch(threading.Thread):
    def __init__(self, recorder: Recorder, folder: Path) -> None:
        super().__init__(name="ftcheck-watch", daemon=True)
        self._recorder, self._folder = recorder, folder
        self._parent = os.getppid()
        self._current: tuple[Now, float | None, float] = (Now(), None, 0.0)

    def watch(self, now: Now, timeout: float | None) -> None:
        # At once, not at the next tick: by then C code may hold the GIL, and this thread never gets a turn again.
        _core.dead_man(0 if timeout is None else timeout + _LAST_GRACE, EXIT_STATUS)
        began = time.monotonic()
        self._current = (now, None if timeout is None else began + timeout, began)

    def run(self) -> None:
        while True:
            time.sleep(_TICK)
            if os.getppid() != self._parent:
                self._end_as_orphan()
            now, deadline, began = self._current
            if deadline is None:
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                self._recorder.last_words("hang", f"{now.phase} not over after {time.monotonic() - began:.1f} s", stacks())
                _EXIT(EXIT_STATUS)

    def _end_as_orphan(self) -> None:
        """Nobody is left to report to, or to clean up behind this process: fixtures are torn down, then all ends."""
        shutil.rmtree(self._folder, ignore_errors=True)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(_ORPHAN_LIMIT)
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        _EXIT(EXIT_STATUS)


_EXIT = os._exit

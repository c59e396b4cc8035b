"""Worker processes as the controlling process sees them: alive or not, asked to end, made to end, and overseen.

Each worker leads a process group of its own (``guard.py``), so a Ctrl-C in the terminal reaches the controlling process
only, which passes it on; and what a test leaves running can be ended with its worker. A worker watches over itself. Two
things are left to the :class:`Overseer`: a worker that can neither die nor speak (stopped by a signal, stuck in the kernel)
is ended when it is far beyond the deadline that it has noted down; and one that has died unnoticed is reported.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ftcheck.plugin import evidence

_PATIENCE_WITH_CHILDREN = 0.5
_PATIENCE_WITH_CONNECTION = 2.0
"""Seconds for xdist to read what an ended worker has sent, and to notice its end by itself."""
_BEYOND_THE_DEADLINE = 14.0
"""Seconds. The worker's own last net (``_core/deadman.c``) ends it 5 s after the deadline, and reports for some more."""
_TICK = 1.0


class Worker:
    """One worker. Where it is no child of this process (``--tx socket=...``), everything here does nothing.

    :param node: xdist's controller of the worker.
    """

    def __init__(self, node: Any) -> None:
        self.name = str(node.gateway.id)
        self._node, self._gateway = node, node.gateway
        self._gone_since = 0.0
        spec = node.gateway.spec
        self.shares_files = bool(spec.popen and not spec.via)  # else there is nothing to be read of it here
        self._process: subprocess.Popen[bytes] | None = getattr(getattr(node.gateway, "_io", None), "popen", None)

    @property
    def gone(self) -> bool:
        """Whether the process has ended. It is not reaped, so that its number stays its own."""
        process = self._process
        if process is None or process.returncode is not None:
            return True
        try:
            return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def look_for_death(self) -> None:
        """Tell xdist that the process has ended, where it cannot notice: a child that a test has forked holds the other
        end of the connection.
        """
        if not self.gone:
            return
        now = time.monotonic()
        self._gone_since = self._gone_since or now
        if now - self._gone_since > _PATIENCE_WITH_CONNECTION and not self._node._down and self._process is not None:
            self._node._down = True
            self._node.notify_inproc("errordown", node=self._node, error="the process has ended")

    def interrupt(self) -> None:
        """Ctrl-C for the worker and what it has started, as the terminal would have sent it."""
        self._signal_all(signal.SIGINT)

    def kill(self) -> None:
        """End it now, whatever it is doing, and what it has started."""
        self._signal_all(signal.SIGKILL)

    def ask_to_end(self) -> None:
        """Tell it that there is no more to do."""
        if self._process is not None:
            self._gateway.exit()

    def ended(self, patience: float) -> tuple[int | None, bool]:
        """Wait until it has ended; end it if it does not. What it has started ends with it.

        :param patience: seconds.
        :returns: its exit status as :mod:`subprocess` gives it (None: not known), and whether it had to be killed.
        """
        if self._process is None:
            return None, False
        deadline = time.monotonic() + patience
        while not (gone := self.gone) and time.monotonic() < deadline:
            time.sleep(0.01)
        if not gone:
            self.kill()
        self._end_its_children()
        self._gateway.join(_PATIENCE_WITH_CONNECTION)  # what it has sent is read to the end
        # Nobody has to wait for its connection any longer, which a child that is out of reach may hold for ever.
        self._gateway.exit()
        waiting = self._gateway._group._gateways_to_join
        if self._gateway in waiting:
            waiting.remove(self._gateway)
        return self._process.wait(), not gone

    def _end_its_children(self) -> None:
        assert self._process is not None
        group = self._process.pid
        if self._process.returncode is None:  # else the number may be someone else's by now
            while not self.gone:
                time.sleep(0.01)
            with contextlib.suppress(OSError):
                os.killpg(group, signal.SIGTERM)
            self._process.wait()
        deadline = time.monotonic() + _PATIENCE_WITH_CHILDREN
        with contextlib.suppress(OSError):
            while time.monotonic() < deadline:
                os.killpg(group, 0)  # raises when nobody is left
                time.sleep(0.01)
            os.killpg(group, signal.SIGKILL)

    def _signal_all(self, number: int) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        try:
            os.killpg(self._process.pid, number)
        except OSError:  # it has no group of its own yet
            with contextlib.suppress(OSError):
                os.kill(self._process.pid, number)


class Overseer(threading.Thread):
    """Looks at all workers once in a second, on a thread of its own.

    :param folder: the evidence folder.
    :param workers: gives the workers that are to be looked at.
    """

    def __init__(self, folder: Path, workers: Callable[[], Iterable[Worker]]) -> None:
        super().__init__(name="ftcheck-overseer", daemon=True)
        self._folder, self._workers = folder, workers
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(_TICK):
            for worker in self._workers():
                worker.look_for_death()
                now = evidence.read_now(self._folder, worker.name)
                late = time.monotonic() - now.deadline
                if now.deadline and late > _BEYOND_THE_DEADLINE and not worker.gone:
                    evidence.speak_for(self._folder, worker.name, f"no sign of life for {late:.0f} s after its time was up")
                    worker.kill()

    def stop(self) -> None:
        """No more looking."""
        self._over.set()

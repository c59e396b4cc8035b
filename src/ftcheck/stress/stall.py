"""Slow, hung, or deadlocked? Judged from outside the threads, by what the kernel says of them.

A round that exceeds its timeout is a hang. A deadlock need not wait that long: when every thread that could still make
progress sleeps in a futex *without a timeout*, and has not even woken up for a while, nothing can ever wake it. Linux
shows this in ``/proc/self/task/TID/syscall`` and ``status`` (proc(5)). A thread that waits with a timeout, for a file,
for a child process, or that computes, keeps the verdict open. Where /proc cannot be read, only the timeout speaks.
"""

from __future__ import annotations

import faulthandler
import os
import platform
import tempfile
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

_FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine())
_WAIT_OPERATIONS = {0, 6, 9, 11, 13}  # WAIT, LOCK_PI, WAIT_BITSET, WAIT_REQUEUE_PI, LOCK_PI2 (linux/futex.h)
_PATIENCE = 1.0
"""Seconds for which every thread must have slept without waking once before it is called a deadlock."""


@dataclass(frozen=True, slots=True)
class Stall:
    """A round that does not end.

    :param seconds: how long the round had been running.
    :param stacks: what every thread of the process was doing.
    :param cpu: seconds of CPU time that the process used meanwhile: a slow test computes, a stuck one may not.
    """

    kind: Literal["deadlock", "hang"]
    round: int
    seconds: float
    stacks: str
    cpu: float = 0.0


class StallWatch:
    """Asked now and then during a round whether the round can still end.

    :param timeout: seconds that a round may take.
    :param bystanders: native ids of threads that do not count: they can wake nobody (the test runner's own).
    """

    def __init__(self, timeout: float, bystanders: Collection[int] = ()) -> None:
        self._timeout = timeout
        self._bystanders = frozenset(bystanders)
        self._round = -1
        self._cpu = 0.0
        self._asleep_since = 0.0
        self._sleepers: dict[int, str] = {}

    def check(self, round: int, began: float) -> Stall | None:
        """A :class:`Stall` if the round that began at ``began`` (monotonic seconds) will not end, else None."""
        now = time.monotonic()
        if round != self._round:
            self._round, self._cpu, self._sleepers = round, time.process_time(), {}
        took = now - began
        sleepers = self._all_asleep()
        if not sleepers or sleepers != self._sleepers:
            self._sleepers, self._asleep_since = sleepers, now
        elif now - self._asleep_since >= _PATIENCE:
            return Stall("deadlock", round, took, stacks())
        if took > self._timeout:
            return Stall("hang", round, took, stacks(), time.process_time() - self._cpu)
        return None

    def _all_asleep(self) -> dict[int, str]:
        """Thread id to a count of its wake-ups, if every thread that counts waits without end; otherwise empty."""
        me = threading.get_native_id()
        sleepers: dict[int, str] = {}
        try:
            for name in os.listdir("/proc/self/task"):
                thread = int(name)
                if thread == me or thread in self._bystanders:
                    continue
                if not _waits_without_end(_read(f"/proc/self/task/{name}/syscall")):
                    return {}
                status = _read(f"/proc/self/task/{name}/status")
                sleepers[thread] = "".join(line for line in status.splitlines() if "ctxt_switches" in line)
        except OSError, ValueError:
            return {}
        return sleepers


def _read(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()


def _waits_without_end(syscall: str) -> bool:
    words = syscall.split()
    if _FUTEX is None or len(words) < 5 or words[0] != str(_FUTEX):
        return False
    operation, timeout = int(words[2], 16), int(words[4], 16)
    private = operation & 0x80  # FUTEX_PRIVATE_FLAG: without it another process may wake the thread
    return bool(private) and operation & 0x7F in _WAIT_OPERATIONS and timeout == 0


def stacks() -> str:
    """The Python stacks of all threads, as faulthandler shows them: it needs no lock that a hung thread may hold."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        return file.read()

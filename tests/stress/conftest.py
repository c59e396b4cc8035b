"""A workload made of plain functions, and a short way to run it."""

import contextlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from ftcheck import stress
from ftcheck.settings import Settings


def nothing(*numbers):
    """Does nothing."""


@dataclass
class Functions:
    """A :class:`ftcheck.workload.Workload`, each part of which is a function that is called with its numbers.

    ``body`` is called with the number of the thread and of the round for which it was prepared.
    """

    body: Callable[[int, int], Any] = nothing
    open: Callable[[int], Any] = nothing
    prepare_: Callable[[int, int], Any] = nothing
    cleanup_: Callable[[int, int], Any] = nothing
    close: Callable[[int], Any] = nothing
    repeatable: bool = False
    log: list = field(default_factory=list)

    def open_round(self, round):
        self.log.append(("open", round))
        self.open(round)

    def prepare(self, thread, round):
        self.log.append(("prepare", thread, round))
        self.prepare_(thread, round)
        return lambda: self._call(thread, round)

    def _call(self, thread, round):
        self.log.append(("body", thread, round))
        return self.body(thread, round)

    def cleanup(self, thread, round):
        self.log.append(("cleanup", thread, round))
        self.cleanup_(thread, round)

    def close_round(self, round):
        self.log.append(("close", round))
        self.close(round)

    def count(self, what):
        """How often this part was called."""
        return sum(entry[0] == what for entry in self.log)


def settings(**changes):
    """Settings for few rounds, and a timeout that no test reaches unless it is meant to."""
    plain = {"threads": 2, "rounds": 5, "seconds": None, "timeout": 120.0, "share": (), "noise": 0.0}
    return Settings(**{**plain, **changes})


@contextlib.contextmanager
def let_go(release):
    """Threads that still run at the end of the block get what they wait for, and are waited for."""
    before = set(threading.enumerate())
    try:
        yield
    finally:
        release()
        for thread in set(threading.enumerate()) - before:
            thread.join()


@pytest.fixture
def run(leaves_nothing_behind):
    """Runs :class:`Functions` under :func:`settings`; threads that were there before take no part in a deadlock."""
    bystanders = {int(name) for name in os.listdir("/proc/self/task")} if os.path.isdir("/proc/self/task") else ()

    def run_(workload, *, seed=0, own_threads=False, settled=lambda failures: False, conditions=(), **changes):
        return stress.run(
            workload,
            settings(**changes),
            stress.Conditions(seed=seed, settled=settled, bystanders=bystanders, **dict(conditions)),
            own_threads=own_threads,
        )

    return run_

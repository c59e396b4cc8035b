"""Explored tests that cannot be explored, noticed at a call: what the parallel engine's watches see, and event loops.

Copies of a test that change the whole process (the working directory, a signal handler, a function of a module) meet under
control as they do in parallel, though one thread runs at a time, and neither of them is to blame. So the same calls are
watched (:mod:`ftcheck.stress.process_wide`), with the same rule: they matter where several copies run. An event loop is
different: what it waits for in ``select()`` nobody controls, and its clock is the virtual one, which stands still meanwhile.
It would wait for ever. So no test in which one runs can be explored.

A watched call is prevented: it raises. What the body makes of that does not count; the next interleaving is not begun, and
the test runs once, alone, as it is.
"""

from __future__ import annotations

import inspect
import sys
import threading
from types import FrameType

from ftcheck import stress
from ftcheck.settings import Settings
from ftcheck.stress.process_wide import MustRunAlone, Watched, in_charge


class RunsAloneError(BaseException):
    """The test has to run alone. No :exc:`Exception`: the engine lets it through."""


class Alone:
    """Of one test, while it is explored.

    :param watch, replaced: those of the session; None: nothing is watched.
    :ivar reason: why it has to run alone; empty as long as nothing was seen.
    :ivar copies: of the test, that run in this interleaving.
    """

    def __init__(self, settings: Settings, watch: stress.ProcessWatch | None, replaced: stress.GlobalsWatch | None) -> None:
        self._settings, self._watch, self._replaced = settings, watch, replaced
        self.reason = ""
        self.copies = 1

    def watch(self) -> None:
        """What is done in the current context from here on, in copies of it and in threads that it starts, is watched."""
        in_charge.set(self._called)

    def begin(self) -> None:
        """Another interleaving is about to begin.

        :raises RunsAloneError: the one before has shown that the test has to run alone.
        """
        self.check()
        if self._watch is not None:
            self._watch.refresh()

    def check(self) -> None:
        """The same, when there is no other."""
        self._put_back()
        if self.reason:
            raise RunsAloneError

    def _called(self, call: Watched) -> None:
        here = call.event_loop or self.copies > 1 or (call.main_thread and not _on_main_thread())
        if here and not self._settings.allows(call.shown):
            self.reason = self.reason or call.reason
            if call.event_loop:
                _close_coroutine()
            raise MustRunAlone(call.reason)

    def _put_back(self) -> None:
        if self._replaced is None:
            return
        for change in self._replaced.take():
            if self.copies > 1 and not self._settings.allows(change.what.shown):
                change.undo()
                self.reason = self.reason or change.what.reason


def _close_coroutine() -> None:
    """What the loop was to run will not be awaited: without this, Python would complain of that."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        for name in ("coro", "future"):  # of asyncio.Runner.run(), loop.run_until_complete()
            if inspect.iscoroutine(coroutine := frame.f_locals.get(name)):
                coroutine.close()
                return
        frame = frame.f_back


def _on_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()

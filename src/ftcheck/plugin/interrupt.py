"""Ctrl-C and SIGTERM in the process that controls workers: the run ends, nothing is left behind, the summary is printed.

The first one ends the run as pytest does it, with a KeyboardInterrupt: workers are asked to end, fixtures are torn down.
One more while that goes on ends the workers at once, and the summary is still printed; pytest alone would be interrupted
in printing it. The third one interrupts whatever is going on. Two within a moment count as one: wrappers (make, tox, a
CI runner) pass on what the terminal has sent to everybody already. Without all this SIGTERM would leave the
workers to find out for themselves, and the run's folder behind.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

_ONE_AND_THE_SAME = 0.5
"""Seconds."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: handled as Ctrl-C is."""


class Interrupts:
    """The handlers of both signals. Only those are replaced that nobody else has replaced before.

    :param hurry: called at the second one.
    """

    def __init__(self, hurry: Callable[[], object]) -> None:
        self._hurry = hurry
        self._before: dict[int, Any] = {}
        self._last = 0.0
        self._further = 0
        self.ending = False
        self.terminated = False

    def install(self, *numbers: int) -> None:
        """Take over these signals (in the main thread; elsewhere nothing can be done)."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in numbers:
            if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
                self._before[number] = signal.signal(number, self._received)

    def uninstall(self) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _received(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._last < _ONE_AND_THE_SAME:
            return
        self._last = now
        if not self.ending:
            self.terminated = number == signal.SIGTERM
            raise Terminated("SIGTERM") if self.terminated else KeyboardInterrupt
        self._further += 1
        self._hurry()
        if self._further > 1:
            raise KeyboardInterrupt


class EndInPeace:
    """Registered as ``ftcheck-interrupt`` where tests run in the process that prints.

    While they run, signals are theirs: code under test looks at the handlers (asyncio does). Once the session is ending,
    one more Ctrl-C must not cost the summary.
    """

    def __init__(self) -> None:
        self._interrupts = Interrupts(hurry=lambda: None)

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self) -> None:
        self._interrupts.ending = True
        self._interrupts.install(signal.SIGINT)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        self._interrupts.uninstall()

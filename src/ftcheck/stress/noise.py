"""Seeded delays at the lines of the code under test: another spread of timings, where the natural one finds nothing.

The idea is that of ConTest (Edelstein, Farchi, Nir, Ratsaby, Ur: "Multithreaded Java program test generation", IBM
Systems Journal 41(1), 2002): a race needs two threads at the right places, and a short random pause at random places
makes rare places common. The delays come from one random generator per thread and round, seeded with the run's seed, so
a thread that takes the same path pauses at the same lines. The points are ``sys.monitoring`` LINE events (PEP 669);
code that is not under test (the standard library, installed packages, ftcheck itself) is switched off at its first line.
"""

from __future__ import annotations

import contextlib
import random
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from types import CodeType

from ftcheck.option_table import SettingsError

_PAUSES = (0.0, 0.0, 0.000_001, 0.000_020, 0.000_200)
"""Seconds; 0 gives the CPU away (sched_yield), the others are as short as the race windows they aim at."""


class Noise:
    """Delays with a given probability at each line.

    :param probability: 0 to 1.
    :param seed: the run's seed for this test.
    """

    def __init__(self, probability: float, seed: int) -> None:
        self._probability = probability
        self._seed = seed
        self._local = threading.local()
        self._outside: tuple[str, ...] = ()

    def begin(self, thread: int, round: int) -> None:
        """Called on each thread at the start of each round."""
        if self._probability:
            self._local.random = random.Random(f"{self._seed}/{thread}/{round}")

    def end(self) -> None:
        """Called on each thread at the end of each round: no pauses in the harness's own work."""
        self._local.random = None

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Pauses happen within this context, in threads that have called :meth:`begin`.

        :raises SettingsError: every tool id of ``sys.monitoring`` is taken.
        """
        if not self._probability:
            yield
            return
        paths = sysconfig.get_paths()
        self._outside = tuple({paths["stdlib"], paths["platstdlib"], paths["purelib"], paths["platlib"], _HOME, "<"})
        monitoring = sys.monitoring
        free = [number for number in (4, 5, 3, 2, 0) if monitoring.get_tool(number) is None]
        if not free:
            raise SettingsError("noise: every tool id of sys.monitoring is in use (a debugger, coverage, a profiler)")
        tool, line = free[0], monitoring.events.LINE
        monitoring.use_tool_id(tool, "ftcheck noise")
        monitoring.register_callback(tool, line, self._at_line)
        monitoring.set_events(tool, line)
        try:
            yield
        finally:
            monitoring.set_events(tool, monitoring.events.NO_EVENTS)
            monitoring.register_callback(tool, line, None)
            monitoring.free_tool_id(tool)

    def _at_line(self, code: CodeType, line: int) -> object:
        if code.co_filename.startswith(self._outside):
            return sys.monitoring.DISABLE
        source = getattr(self._local, "random", None)
        if source is not None and source.random() < self._probability:
            time.sleep(source.choice(_PAUSES))
        return None


_HOME = __file__.rpartition("stress")[0]

"""The parallel engine: a workload in as many threads as asked for, or as few as it turns out to bear.

Usually each thread runs a copy of the body (:mod:`ftcheck.stress.rounds`). A body that calls
:func:`ftcheck.concurrently` brings its own threads. Several copies at once would disturb each other's totals, so the body
is abandoned at that call and the test starts again with one copy at a time. A body that is about to change the whole
process (:mod:`ftcheck.stress.process_wide`) is abandoned for good: the caller has to run it alone.

With ``settings.threads == 1`` nothing is concurrent: there is one copy, and the bodies that a test brings itself run one
after the other, each on a thread of its own. That is the control: what fails here needs no second thread.
"""

from __future__ import annotations

from ftcheck.settings import Settings
from ftcheck.stress.rounds import Conditions, Outcome, Rounds
from ftcheck.workload import Workload

_ANY = Conditions()


def run(workload: Workload, settings: Settings, conditions: Conditions = _ANY, *, own_threads: bool = False) -> Outcome:
    """Run a workload until a limit of ``settings`` is reached, or nothing more is to be learned.

    :param own_threads: the bodies are known to call ``concurrently()``: run one copy at a time from the start.
    :raises RuntimeError: the threads could not be started.
    """
    while True:
        rounds = Rounds(workload, settings, 1 if own_threads else settings.threads, conditions)
        outcome = rounds.execute()
        if outcome.alone or outcome.stall is not None or not rounds.abandoned:
            return outcome
        own_threads = own_threads or not rounds.unwatched

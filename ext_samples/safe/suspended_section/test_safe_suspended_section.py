"""All that two threads add to one ledger is in its total, though each addition runs Python code that waits."""

import threading

import pytest
import safe_suspended_section as sample

import ftcheck

SIZES = bytes(range(250)) * 4
TIMES = 200


@pytest.mark.ftcheck
def test_everything_is_added():
    ledger, lock = sample.Ledger(), threading.Lock()

    def sizes():
        with lock:  # who waits here lets go of the critical section
            return SIZES

    def add():
        for _ in range(TIMES):
            ledger.add(sizes)

    ftcheck.concurrently(add, add)
    assert ledger.total() == 2 * TIMES * sum(SIZES)

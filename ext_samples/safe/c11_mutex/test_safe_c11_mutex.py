"""However much is moved, both accounts together have the same."""

import pytest
import safe_c11_mutex as sample

import ftcheck

TIMES = 200


@pytest.mark.ftcheck
def test_total_stays():
    def move():
        for _ in range(TIMES):
            sample.move()

    def ask():
        for _ in range(20 * TIMES):
            assert sample.total() == 2000

    ftcheck.concurrently(move, ask)

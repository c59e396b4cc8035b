"""The mean of nothing but threes is three, whenever one asks."""

import pytest
import safe_spinlock as sample

import ftcheck

TIMES = 300


@pytest.mark.ftcheck
def test_mean_of_threes():
    def add():
        for _ in range(TIMES):
            sample.add(3)

    def ask():
        for _ in range(20 * TIMES):
            assert sample.mean() == 3.0

    sample.add(3)
    ftcheck.concurrently(add, ask)

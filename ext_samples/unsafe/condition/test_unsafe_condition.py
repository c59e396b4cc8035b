"""What one thread puts into the queue the other one takes out, as it was."""

import pytest
import unsafe_condition as sample

import ftcheck

ITEMS = sample.CAPACITY


@pytest.mark.ftcheck
def test_everything_arrives():
    sums = []
    sample.reset()
    ftcheck.concurrently(lambda: sample.put(ITEMS), lambda: sums.append(sample.take(ITEMS)))
    assert sums == [ITEMS * (ITEMS + 1) // 2]

"""What two threads count with the same objects is all in them."""

import pytest
import safe_cy_vtable as sample

import ftcheck

DATA = bytes(range(250)) * 4
TIMES = 100


@pytest.mark.ftcheck
def test_everything_is_counted():
    total, odd = sample.Sum(), sample.Bits()

    def count():
        for _ in range(TIMES):
            sample.count(total, odd, DATA)

    ftcheck.concurrently(count, count)
    assert (total.read(), odd.read()) == (2 * TIMES * sum(DATA), 2 * TIMES * len(DATA) // 2)

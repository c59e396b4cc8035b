"""Every byte is counted, in the parent and in each child."""

import pytest
import safe_forked as sample

import ftcheck

DATA = b"the quick brown fox jumps over the lazy dog " * 200
TIMES = 3


@pytest.mark.ftcheck
def test_every_byte_is_counted():
    def record():
        for _ in range(TIMES):
            sample.record(DATA)

    sample.reset()
    ftcheck.concurrently(record, record)
    assert sample.recorded() == 2 * TIMES * len(DATA)

"""Every byte that two threads record is counted."""

import pytest
import safe_semaphore as sample

import ftcheck

DATA = b"the quick brown fox jumps over the lazy dog " * 50
TIMES = 40


@pytest.mark.ftcheck
def test_every_byte_is_counted():
    def record():
        for _ in range(TIMES):
            sample.record(DATA)

    sample.reset()
    ftcheck.concurrently(record, record)
    assert sample.recorded() == 2 * TIMES * len(DATA)

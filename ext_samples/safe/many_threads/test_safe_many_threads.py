"""Every byte that a hundred threads record is counted."""

import pytest
import safe_many_threads as sample

import ftcheck

DATA = b"the quick brown fox jumps over the lazy dog " * 50
THREADS = 100


@pytest.mark.ftcheck
def test_every_byte_is_counted():
    def record():
        for _ in range(8):
            sample.record(DATA)

    sample.reset()
    ftcheck.concurrently(record, threads=THREADS)
    assert sample.recorded() == 8 * THREADS * len(DATA)

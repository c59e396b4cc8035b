"""Every byte that hundreds of short threads record is counted; each gets the number of one that has ended."""

import threading

import pytest
import safe_short_threads as sample

import ftcheck

DATA = b"the quick brown fox jumps over the lazy dog " * 250
THREADS = 60


@pytest.mark.ftcheck
def test_every_byte_is_counted():
    def record():
        for _ in range(THREADS):
            thread = threading.Thread(target=sample.record, args=(DATA,))
            thread.start()
            thread.join()

    sample.reset()
    ftcheck.concurrently(record, record)
    assert sample.recorded() == 2 * THREADS * len(DATA)

"""Every byte that many short threads record is counted; each gets the number of one that has ended."""

import threading

import pytest
import unsafe_short_threads as sample

import ftcheck

DATA = b"the quick brown fox jumps over the lazy dog " * 250
THREADS, TIMES = 20, 6


@pytest.mark.ftcheck
def test_every_byte_is_counted():
    def record_some():
        for _ in range(TIMES):
            sample.record(DATA)

    def record():
        for _ in range(THREADS):
            thread = threading.Thread(target=record_some)
            thread.start()
            thread.join()

    sample.reset()
    ftcheck.concurrently(record, record)
    assert sample.recorded() == 2 * THREADS * TIMES * len(DATA)

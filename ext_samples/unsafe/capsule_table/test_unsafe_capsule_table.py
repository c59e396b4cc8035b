"""Every byte that two threads record through the table of another module is counted."""

import pytest
import unsafe_capsule_table_user as sample

import ftcheck

DATA = b"the quick brown fox jumps over the lazy dog " * 50
TIMES = 40


@pytest.mark.ftcheck
def test_every_byte_is_counted():
    def record():
        for _ in range(TIMES):
            sample.record(DATA)

    sample.recorded(True)
    ftcheck.concurrently(record, record)
    assert sample.recorded(False) == 2 * TIMES * len(DATA)

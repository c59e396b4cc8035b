"""Every jump is counted."""

import pytest
import safe_longjmp as sample

import ftcheck

DEEP = b"(" * 50 + b")" * 50
TIMES = 100


@pytest.mark.ftcheck
def test_every_jump_is_counted():
    def record():
        for _ in range(TIMES):
            sample.record(DEEP)

    sample.reset()
    ftcheck.concurrently(record, record)
    assert sample.recorded() == 2 * TIMES * 5 * 256

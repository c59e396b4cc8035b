"""Every exception is counted."""

import pytest
import unsafe_cpp_exceptions as sample

import ftcheck

DEEP = b"(" * 50 + b")" * 50
TIMES = 8


@pytest.mark.ftcheck
def test_every_exception_is_counted():
    def record():
        for _ in range(TIMES):
            sample.record(DEEP)

    sample.reset()
    ftcheck.concurrently(record, record)
    assert sample.recorded() == 2 * TIMES * 5 * 5000

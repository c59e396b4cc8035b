"""The sum is that of one of the texts, however often another thread replaces it."""

import pytest
import unsafe_memory_reuse as sample

import ftcheck

TIMES = 500


@pytest.mark.ftcheck
def test_sum_is_of_one_text():
    def replace():
        for number in range(TIMES):
            sample.replace(number % 3)

    def look():
        for _ in range(TIMES):
            assert sample.sum() in (0, 1000, 2000)

    sample.replace(0)
    ftcheck.concurrently(replace, look)

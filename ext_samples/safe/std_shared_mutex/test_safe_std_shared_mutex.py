"""All weights are the same, whenever one looks."""

import pytest
import safe_std_shared_mutex as sample

import ftcheck

TIMES = 5000


@pytest.mark.ftcheck
def test_weights_are_equal():
    def set_them():
        for weight in range(TIMES):
            sample.set(weight)

    def look():
        for _ in range(TIMES):
            assert sample.equal()

    ftcheck.concurrently(set_them, look)

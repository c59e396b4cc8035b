"""The sum is that of all bytes."""

import pytest
import unsafe_own_threads as sample

DATA = bytes(range(250)) * 40


@pytest.mark.ftcheck
def test_sum_is_complete():
    for _ in range(5):
        assert sample.sum(DATA) == sum(DATA)

"""Two threads that both come first find a table that is filled."""

import pytest
import safe_std_call_once as sample

import ftcheck


@pytest.mark.ftcheck
def test_both_find_a_filled_table():
    several = [sample.Roots() for _ in range(20)]

    def check():
        for roots in several:
            assert roots.at(2025) == 45.0

    ftcheck.concurrently(check, check)

"""Two threads that both come first find a table that is filled."""

import pytest
import safe_once_init as sample

import ftcheck

LEVEL = 60_000


@pytest.mark.ftcheck
def test_both_threads_find_a_filled_table():
    def check():
        assert sample.to_linear(LEVEL) == pytest.approx((LEVEL / 65535) ** 2.2)

    sample.set_gamma(1.0)
    sample.to_linear(LEVEL)  # fills the table, with other values
    sample.set_gamma(2.2)
    ftcheck.concurrently(check, check)

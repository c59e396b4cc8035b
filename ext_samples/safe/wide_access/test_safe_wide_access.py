"""What a thread finds in its slot is what it has stored there."""

import pytest
import safe_wide_access as sample

import ftcheck

TIMES = 100


@pytest.mark.ftcheck
def test_my_slot_is_mine():
    def use(index, number):
        for _ in range(TIMES):
            assert sample.check(index, number) == 0

    ftcheck.concurrently(lambda: use(2, 0x0101010101010101), lambda: use(3, 0x0202020202020202))

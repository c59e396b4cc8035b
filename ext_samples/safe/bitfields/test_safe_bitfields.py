"""Each thread finds the number that it has set itself: nobody else sets it."""

import pytest
import safe_bitfields as sample

import ftcheck

TIMES = 20_000


@pytest.mark.ftcheck
def test_my_number_is_still_there():
    pair = sample.Pair()

    def use(swap):
        before = 0
        for number in range(TIMES):
            assert swap(number) == before
            before = number & 15

    ftcheck.concurrently(lambda: use(pair.left), lambda: use(pair.right))

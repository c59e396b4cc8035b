"""What two vessels pour into each other is all there in the end."""

import pytest
import unsafe_two_objects as sample

import ftcheck

TIMES = 20_000


@pytest.mark.ftcheck
def test_nothing_is_spilt():
    mine, yours = sample.Vessel(), sample.Vessel()

    def pour(source, target):
        for _ in range(TIMES):
            source.pour(target)

    ftcheck.concurrently(lambda: pour(mine, yours), lambda: pour(yours, mine))
    assert mine.level() == yours.level() == 0

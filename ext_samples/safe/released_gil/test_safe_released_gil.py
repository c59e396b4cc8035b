"""Each thread gets the sum of its own samples."""

import random
import threading

import pytest
import safe_released_gil as sample


@pytest.mark.ftcheck
def test_sum_is_of_my_samples():
    mine = random.Random(threading.get_ident()).randbytes(512)
    work = [256 * value for value in mine]
    for i in range(1, len(work)):
        work[i] = (work[i - 1] + work[i]) // 2
    for _ in range(300):
        assert sample.smooth(mine) == sum(work)

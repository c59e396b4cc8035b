"""Each thread gets the median of its own numbers."""

import random
import threading

import pytest
import safe_cffi_abi as sample


@pytest.mark.ftcheck
def test_median_is_of_my_numbers():
    numbers = random.Random(threading.get_ident())
    mine = [numbers.random() for _ in range(501)]
    middle = sorted(mine)[len(mine) // 2]
    for _ in range(40):
        assert sample.median(mine) == middle

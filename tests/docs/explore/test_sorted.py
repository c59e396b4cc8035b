import pytest
from sortedcontainers import SortedList

import ftcheck


@pytest.mark.ftcheck(explore=True, scope=["sortedcontainers"])
def test_add():
    numbers = SortedList()
    ftcheck.concurrently(lambda: numbers.add(1), lambda: numbers.add(2))
    assert list(numbers) == [1, 2]

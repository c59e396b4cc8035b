import pytest

import ftcheck


class Counter:
    def __init__(self):
        self.value = 0

    def increment(self):
        self.value += 1


@pytest.mark.ftcheck(explore=True)
def test_increment():
    counter = Counter()
    ftcheck.concurrently(counter.increment, counter.increment)
    assert counter.value == 2

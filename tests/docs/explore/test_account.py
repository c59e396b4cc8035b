from hypothesis import given
from hypothesis import strategies as st

import ftcheck


class Account:
    def __init__(self):
        self.total = 0

    def add(self, amount):
        self.total += amount


@given(st.integers(0, 1000), st.integers(0, 1000), ftcheck.interleavings(threads=2, within=8))
def test_add(first, second, interleaving):
    account = Account()
    interleaving.run(lambda: account.add(first), lambda: account.add(second))
    assert account.total == first + second

import pytest
from bank import Account

import ftcheck


@pytest.mark.ftcheck(explore=True)
def test_transfer():
    anna, ben = Account(10), Account(10)
    ftcheck.concurrently(lambda: anna.transfer(ben, 1), lambda: ben.transfer(anna, 2))
    assert anna.balance + ben.balance == 20

"""Two accounts can pay each other at the same time."""

import pytest
import safe_lock_order as sample

import ftcheck

PAYMENTS = 10_000


@pytest.mark.ftcheck(timeout=5)  # a deadlock ends only with the process
def test_payments_in_both_directions():
    mine, yours = sample.Account(), sample.Account()

    def pay(payer, payee):
        for _ in range(PAYMENTS):
            payer.transfer(payee, 1)

    ftcheck.concurrently(lambda: pay(mine, yours), lambda: pay(yours, mine))
    assert mine.balance() == yours.balance() == 0

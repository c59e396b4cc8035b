"""account of SCTBench: once both bookings are made, the balance is checked against a formula with a wrong sign."""

import threading

from ftcheck import concurrently

OPENING, DEPOSIT, WITHDRAWAL = 1, 2, 4


class Account:
    def __init__(self):
        self.lock = threading.Lock()
        self.balance = OPENING
        self.deposited = self.withdrawn = False

    def check(self):
        with self.lock:
            if self.deposited and self.withdrawn:
                assert self.balance == (OPENING - DEPOSIT) - WITHDRAWAL

    def deposit(self):
        with self.lock:
            self.balance += DEPOSIT
            self.deposited = True

    def withdraw(self):
        with self.lock:
            self.balance -= WITHDRAWAL
            self.withdrawn = True


def program():
    account = Account()
    concurrently(account.check, account.deposit, account.withdraw)

"""The lock is held from reading to writing."""

import threading

from ftcheck import concurrently


class Account:
    def __init__(self):
        self.lock = threading.Lock()
        self.balance = 0

    def deposit(self, amount):
        with self.lock:
            balance = self.balance
            balance += amount
            self.balance = balance


def program():
    account = Account()
    concurrently(lambda: account.deposit(1), lambda: account.deposit(2))
    assert account.balance == 3

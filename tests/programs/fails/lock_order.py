"""Two transfers take the locks of two accounts in opposite order: each waits for the other for ever."""

import threading
import time

from ftcheck import concurrently


class Account:
    def __init__(self, balance):
        self.balance, self.lock = balance, threading.Lock()


def transfer(source, target, amount):
    with source.lock:
        time.sleep(0.001)  # asks a database
        with target.lock:
            source.balance -= amount
            target.balance += amount


def program():
    a, b = Account(10), Account(10)
    concurrently(lambda: transfer(a, b, 3), lambda: transfer(b, a, 4))
    assert (a.balance, b.balance) == (11, 9)

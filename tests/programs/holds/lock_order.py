"""All transfers take the locks in the same order."""

import threading
import time

from ftcheck import concurrently


class Account:
    def __init__(self, balance):
        self.balance, self.lock = balance, threading.Lock()


def transfer(source, target, amount):
    first, second = sorted((source, target), key=id)
    with first.lock:
        time.sleep(0.001)  # asks a database
        with second.lock:
            source.balance -= amount
            target.balance += amount


def program():
    a, b = Account(10), Account(10)
    concurrently(lambda: transfer(a, b, 3), lambda: transfer(b, a, 4))
    assert (a.balance, b.balance) == (11, 9)

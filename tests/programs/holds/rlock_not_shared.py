"""The workers are given the lock together with the dict."""

import threading

from ftcheck import concurrently


class Worker:
    def __init__(self, totals, lock):
        self.lock = lock
        self.totals = totals

    def add(self, amount):
        with self.lock:
            self.totals["sum"] += amount


def program():
    totals, lock = {"sum": 0}, threading.RLock()
    first, second = Worker(totals, lock), Worker(totals, lock)
    concurrently(lambda: first.add(1), lambda: second.add(2))
    assert totals == {"sum": 3}

"""Each worker makes a lock of its own for the dict that they share: nobody ever waits for anybody."""

import threading

from ftcheck import concurrently


class Worker:
    def __init__(self, totals):
        self.lock = threading.RLock()
        self.totals = totals

    def add(self, amount):
        with self.lock:
            self.totals["sum"] += amount


def program():
    totals = {"sum": 0}
    first, second = Worker(totals), Worker(totals)
    concurrently(lambda: first.add(1), lambda: second.add(2))
    assert totals == {"sum": 3}

"""lazy01 of SCTBench: two threads add 1 and 2, a third one takes the sum of both for impossible."""

import threading

from ftcheck import concurrently


class Sum:
    def __init__(self):
        self.lock = threading.Lock()
        self.value = 0

    def add_one(self):
        with self.lock:
            self.value += 1

    def add_two(self):
        with self.lock:
            self.value += 2

    def check(self):
        with self.lock:
            assert not self.value >= 3


def program():
    total = Sum()
    concurrently(total.add_one, total.add_two, total.check)

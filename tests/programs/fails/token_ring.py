"""token_ring of SCTBench: everybody passes the token on, whether it has come to them or not."""

import threading

from ftcheck import concurrently


class Ring:
    def __init__(self):
        self.lock = threading.Lock()
        self.x1, self.x2, self.x3 = 1, 2, 1
        self.passed1 = self.passed2 = self.passed3 = False

    def first(self):
        with self.lock:
            self.x1 = (self.x3 + 1) % 4
            self.passed1 = True

    def second(self):
        with self.lock:
            self.x2 = self.x1
            self.passed2 = True

    def third(self):
        with self.lock:
            self.x3 = self.x2
            self.passed3 = True

    def check(self):
        with self.lock:
            if self.passed1 and self.passed2 and self.passed3:
                assert self.x1 == self.x2 == self.x3


def program():
    ring = Ring()
    concurrently(ring.first, ring.second, ring.third, ring.check)

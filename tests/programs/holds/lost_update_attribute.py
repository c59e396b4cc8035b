"""A lock makes reading and writing one step."""

import threading

from ftcheck import concurrently


class Counter:
    def __init__(self):
        self.value = 0
        self._lock = threading.Lock()

    def increment(self):
        with self._lock:
            self.value += 1


def program():
    counter = Counter()

    def work():
        for _ in range(50_000):
            counter.increment()

    concurrently(work, threads=4)
    assert counter.value == 200_000

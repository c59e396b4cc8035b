"""A lock makes reading and writing one step."""

import threading

from ftcheck import concurrently


class Counter:
    def __init__(self):
        self.value = 0
        self.lock = threading.Lock()

    def increment(self):
        with self.lock:
            self.value += 1


def program():
    counter = Counter()
    concurrently(counter.increment, threads=2)
    assert counter.value == 2

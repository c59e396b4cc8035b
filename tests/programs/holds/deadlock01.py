"""deadlock01 of SCTBench: both take them in the same order."""

import threading

from ftcheck import concurrently


class Counter:
    def __init__(self):
        self.a = threading.Lock()
        self.b = threading.Lock()
        self.value = 1

    def up(self):
        with self.a, self.b:
            self.value += 1

    def down(self):
        with self.a, self.b:
            self.value -= 1


def program():
    counter = Counter()
    concurrently(counter.up, counter.down)
    assert counter.value == 1

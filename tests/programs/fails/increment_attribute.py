"""Two threads add one to an attribute, once each."""

from ftcheck import concurrently


class Counter:
    def __init__(self):
        self.value = 0

    def increment(self):
        self.value += 1


def program():
    counter = Counter()
    concurrently(counter.increment, threads=2)
    assert counter.value == 2

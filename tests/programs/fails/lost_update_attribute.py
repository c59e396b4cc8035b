"""Four threads add to one attribute. ``+=`` reads and then writes: updates in between are lost."""

from ftcheck import concurrently


class Counter:
    def __init__(self):
        self.value = 0

    def increment(self):
        self.value += 1


def program():
    counter = Counter()

    def work():
        for _ in range(50_000):
            counter.increment()

    concurrently(work, threads=4)
    assert counter.value == 200_000

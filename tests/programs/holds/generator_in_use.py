"""A lock lets one thread at a time advance it."""

import threading

from ftcheck import concurrently


class Source:
    def __init__(self):
        self.last = 0

    def numbers(self):
        while True:
            self.last += 1
            yield self.last


def program():
    numbers, drawn, lock = Source().numbers(), [], threading.Lock()

    def draw():
        with lock:
            drawn.append(next(numbers))

    concurrently(draw, draw)
    assert sorted(drawn) == [1, 2]

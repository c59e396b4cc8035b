"""A lock lets one thread at a time advance it."""

import threading

from ftcheck import concurrently


def numbers(count):
    for number in range(count):
        yield sum(range(number % 10))


def program():
    source, lock = numbers(20_000), threading.Lock()

    def consume():
        while True:
            with lock:
                if next(source, None) is None:
                    return

    concurrently(consume, consume)

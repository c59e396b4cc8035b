"""Two threads take from one generator: ValueError, generator already executing."""

from ftcheck import concurrently


def numbers(count):
    for number in range(count):
        yield sum(range(number % 10))


def program():
    source = numbers(20_000)

    def consume():
        for _ in source:
            pass

    concurrently(consume, consume)

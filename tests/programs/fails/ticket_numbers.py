"""An iterator written by hand gives one number to two threads, once."""

from ftcheck import concurrently


class Tickets:
    def __init__(self):
        self._next = 0

    def __iter__(self):
        return self

    def __next__(self):
        self._next += 1
        return self._next


def program():
    tickets, drawn = Tickets(), []
    concurrently(lambda: drawn.append(next(tickets)), lambda: drawn.append(next(tickets)))
    assert sorted(drawn) == [1, 2]

"""An iterator written by hand gives the same ticket to several threads."""

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
    tickets, drawn = Tickets(), ([], [], [], [])

    def draw(mine):
        for _ in range(30_000):
            mine.append(next(tickets))

    concurrently(*(lambda mine=mine: draw(mine) for mine in drawn))
    assert len(set().union(*drawn)) == 120_000

"""``itertools.count`` gives each number once."""

import itertools

from ftcheck import concurrently


def program():
    tickets, drawn = itertools.count(), ([], [], [], [])

    def draw(mine):
        for _ in range(30_000):
            mine.append(next(tickets))

    concurrently(*(lambda mine=mine: draw(mine) for mine in drawn))
    assert len(set().union(*drawn)) == 120_000

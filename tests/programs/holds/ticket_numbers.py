"""``itertools.count`` gives each number once."""

import itertools

from ftcheck import concurrently


def program():
    tickets, drawn = itertools.count(1), []
    concurrently(lambda: drawn.append(next(tickets)), lambda: drawn.append(next(tickets)))
    assert sorted(drawn) == [1, 2]

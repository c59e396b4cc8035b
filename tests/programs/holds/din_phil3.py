"""Three philosophers at a round table: all take the fork with the lower number first."""

import threading

from ftcheck import concurrently


class Table:
    def __init__(self):
        self.forks = [threading.Lock(), threading.Lock(), threading.Lock()]
        self.meals = [0, 0, 0]

    def dine(self, seat):
        first, second = sorted((seat, (seat + 1) % 3))
        with self.forks[first], self.forks[second]:
            self.meals[seat] += 1


def program():
    table = Table()
    concurrently(lambda: table.dine(0), lambda: table.dine(1), lambda: table.dine(2))
    assert table.meals == [1, 1, 1]

"""Two threads ask one generator for one number each: ValueError, generator already executing."""

from ftcheck import concurrently


class Source:
    def __init__(self):
        self.last = 0

    def numbers(self):
        while True:
            self.last += 1
            yield self.last


def program():
    numbers, drawn = Source().numbers(), []

    def draw():
        drawn.append(next(numbers))

    concurrently(draw, draw)
    assert sorted(drawn) == [1, 2]

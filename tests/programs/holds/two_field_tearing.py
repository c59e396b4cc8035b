"""Both coordinates are one tuple, replaced in one step."""

from ftcheck import concurrently


class Point:
    def __init__(self):
        self.position = (0, 0)

    def move(self):
        x, y = self.position
        self.position = (x + 1, y + 1)

    def look(self):
        x, y = self.position
        assert x == y


def program():
    point = Point()
    concurrently(point.move, point.look)

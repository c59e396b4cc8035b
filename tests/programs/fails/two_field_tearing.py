"""A point moves along the diagonal: whoever looks between the two steps sees it beside the diagonal."""

from ftcheck import concurrently


class Point:
    def __init__(self):
        self.x = self.y = 0

    def move(self):
        self.x += 1
        self.y += 1

    def look(self):
        assert self.x == self.y


def program():
    point = Point()
    concurrently(point.move, point.look)

"""Woken up, the consumer looks again."""

import threading

from ftcheck import concurrently


class Shelf:
    def __init__(self):
        self.changed = threading.Condition()
        self.items = []

    def fill(self):
        for item in ("first", "second"):
            with self.changed:
                self.items.append(item)
                self.changed.notify()

    def take(self):
        with self.changed:
            while not self.items:
                self.changed.wait()
            self.items.pop()


def program():
    shelf = Shelf()
    concurrently(shelf.fill, shelf.take, shelf.take)
    assert shelf.items == []

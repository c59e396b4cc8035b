"""Woken up, the consumer does not look again: another one may have taken the item before it had the lock back."""

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
            if not self.items:
                self.changed.wait()
            self.items.pop()


def program():
    shelf = Shelf()
    concurrently(shelf.fill, shelf.take, shelf.take)
    assert shelf.items == []

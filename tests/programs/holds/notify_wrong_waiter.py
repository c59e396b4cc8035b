"""All are woken up, and look whether it is their turn."""

import threading

from ftcheck import concurrently


class Slot:
    def __init__(self):
        self.changed = threading.Condition()
        self.items = []

    def put(self, item):
        with self.changed:
            while self.items:
                self.changed.wait()
            self.items.append(item)
            self.changed.notify_all()

    def take(self):
        with self.changed:
            while not self.items:
                self.changed.wait()
            self.items.pop()
            self.changed.notify_all()


def program():
    slot = Slot()

    def produce():
        slot.put("first")
        slot.put("second")

    concurrently(produce, slot.take, slot.take)
    assert slot.items == []

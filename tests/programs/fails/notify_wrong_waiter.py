"""Consumers and the producer wait for one condition, and one is woken up: a consumer, when it is the producer's turn."""

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
            self.changed.notify()

    def take(self):
        with self.changed:
            while not self.items:
                self.changed.wait()
            self.items.pop()
            self.changed.notify()


def program():
    slot = Slot()

    def produce():
        slot.put("first")
        slot.put("second")

    concurrently(produce, slot.take, slot.take)
    assert slot.items == []

"""queue of SCTBench: both count the values, not their turns."""

import threading

from ftcheck import concurrently

SIZE = 20


class Queue:
    def __init__(self):
        self.lock = threading.Lock()
        self.elements, self.stored = [0] * (SIZE + 1), [0] * SIZE
        self.head = self.tail = self.amount = 0
        self.may_fill, self.may_drain = True, False

    def enqueue(self, value):
        self.elements[self.tail] = value
        self.amount += 1
        self.tail = 1 if self.tail == SIZE else self.tail + 1

    def dequeue(self):
        value = self.elements[self.head]
        self.amount -= 1
        self.head = 1 if self.head == SIZE else self.head + 1
        return value

    def fill(self):
        with self.lock:
            value = 0
            self.enqueue(value)
            self.stored[0] = value
            assert self.head != self.tail
        for _ in range(SIZE - 1):
            with self.lock:
                if self.may_fill:
                    value += 1
                    self.enqueue(value)
                    self.stored[value] = value
                    self.may_fill, self.may_drain = False, True

    def drain(self):
        drained = 0
        for _ in range(SIZE):
            with self.lock:
                if self.may_drain:
                    assert self.dequeue() == self.stored[drained]
                    drained += 1
                    self.may_drain, self.may_fill = False, True


def program():
    queue = Queue()
    concurrently(queue.fill, queue.drain)

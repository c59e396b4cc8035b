"""stack of SCTBench: the flag is taken back with the last value."""

import threading

from ftcheck import concurrently

SIZE = 10


class Stack:
    def __init__(self):
        self.lock = threading.Lock()
        self.slots = [0] * SIZE
        self.top = 0
        self.filled = False

    def push(self):
        for value in range(SIZE):
            with self.lock:
                assert self.top != SIZE
                self.slots[self.top] = value
                self.top += 1
                self.filled = True

    def pop(self):
        for _ in range(SIZE):
            with self.lock:
                if self.filled:
                    assert self.top != 0
                    self.top -= 1
                    self.slots[self.top]
                    self.filled = self.top != 0


def program():
    stack = Stack()
    concurrently(stack.push, stack.pop)

"""circular_buffer of SCTBench: a sender that may not send skips the value, and the receiver takes its turns for values."""

import threading

from ftcheck import concurrently

SIZE, TURNS = 10, 7


class Buffer:
    def __init__(self):
        self.lock = threading.Lock()
        self.slots = [0] * SIZE
        self.first = self.next = 0
        self.may_send, self.may_receive = True, False

    def insert(self, value):
        self.slots[self.next] = value
        self.next = (self.next + 1) % SIZE

    def remove(self):
        if self.next > 0 and self.first < SIZE:
            self.first += 1
            return self.slots[self.first - 1]
        return -1

    def send(self):
        for value in range(TURNS):
            with self.lock:
                if self.may_send:
                    self.insert(value)
                    self.may_send, self.may_receive = False, True

    def receive(self):
        for value in range(TURNS):
            with self.lock:
                if self.may_receive:
                    assert self.remove() == value
                    self.may_receive, self.may_send = False, True


def program():
    buffer = Buffer()
    concurrently(buffer.send, buffer.receive)

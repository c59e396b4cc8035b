"""arithmetic_prog of SCTBench: 1 + 2 + 3 is said not to be 6. Fails in every interleaving."""

import threading

from ftcheck import concurrently

COUNT = 3


class Progression:
    def __init__(self):
        self.lock = threading.Lock()
        self.empty = threading.Condition(self.lock)
        self.full = threading.Condition(self.lock)
        self.waiting = self.total = 0
        self.finished = False

    def produce(self):
        for _ in range(COUNT):
            with self.lock:
                while self.waiting > 0:
                    self.empty.wait()
                self.waiting += 1
                self.full.notify()

    def consume(self):
        for number in range(COUNT):
            with self.lock:
                while self.waiting == 0:
                    self.full.wait()
                self.total += number
                self.waiting -= 1
                self.empty.notify()
        self.total += COUNT
        self.finished = True


def program():
    progression = Progression()
    concurrently(progression.produce, progression.consume)
    if progression.finished:
        assert progression.total != COUNT * (COUNT + 1) // 2

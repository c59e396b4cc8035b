"""A barrier made of an event, used twice: a fast thread clears the event before the other one has gone through."""

import threading

from ftcheck import concurrently


class Barrier:
    def __init__(self, parties):
        self.parties = parties
        self.arrived = 0
        self.lock = threading.Lock()
        self.complete = threading.Event()

    def wait(self):
        with self.lock:
            self.arrived += 1
            if self.arrived == self.parties:
                self.arrived = 0
                self.complete.set()
        self.complete.wait()
        self.complete.clear()


def program():
    barrier, phases = Barrier(2), [0, 0]

    def work(me):
        for phase in (1, 2):
            phases[me] = phase
            barrier.wait()
            assert phases[1 - me] >= phase

    concurrently(lambda: work(0), lambda: work(1))

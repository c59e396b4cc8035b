"""twostage of SCTBench: writers fill a first field under one lock, and then a second one under another lock.

A reader that comes between the two stages of the first writer fails.
"""

import threading

from ftcheck import concurrently


class Stages:
    def __init__(self):
        self.lock1, self.lock2 = threading.Lock(), threading.Lock()
        self.data1 = self.data2 = 0

    def write(self):
        with self.lock1:
            self.data1 = 1
        with self.lock2:
            self.data2 = self.data1 + 1

    def read(self):
        with self.lock1:
            if self.data1 == 0:
                return
            first = self.data1
        with self.lock2:
            second = self.data2
        assert second == first + 1


class OneStage(Stages):
    """The correction: the first lock is held until both fields are filled."""

    def write(self):
        with self.lock1:
            self.data1 = 1
            with self.lock2:
                self.data2 = self.data1 + 1


def make(writers, readers, fixed):
    """``twostage_N`` has N threads: first the writers, then the readers."""

    def program():
        stages = OneStage() if fixed else Stages()
        concurrently(*[stages.write] * writers, *[stages.read] * readers)

    return program

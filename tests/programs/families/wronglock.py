"""wronglock of SCTBench: one thread changes a value under one lock, the others change it under another one."""

import threading

from ftcheck import concurrently


class Wrong:
    def __init__(self):
        self.data_lock, self.thread_lock = threading.Lock(), threading.Lock()
        self.value = 0

    def check(self):
        with self.data_lock:
            before = self.value
            self.value += 1
            assert self.value == before + 1

    def add(self):
        with self.thread_lock:
            self.value += 1


class Right(Wrong):
    """The correction: one lock for one value."""

    def add(self):
        with self.data_lock:
            self.value += 1


def make(checkers, adders, fixed):
    """``wronglock_N`` has one checker and N adders, ``wronglock`` seven."""

    def program():
        data = Right() if fixed else Wrong()
        concurrently(*[data.check] * checkers, *[data.add] * adders)

    return program

"""reorder of SCTBench: setters write two fields one after the other, checkers must not see the first without the second.

A checker fails if some setter has written ``a``, and none has written ``b``. The more setters there are, the rarer is
that: it is the family that tells schedulers apart.
"""

import threading

from ftcheck import concurrently


class Torn:
    def __init__(self):
        self.a = self.b = 0

    def set(self):
        self.a = 1
        self.b = -1

    def check(self):
        assert (self.a == 0 and self.b == 0) or (self.a == 1 and self.b == -1)


class Whole(Torn):
    """The correction: both fields under one lock."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()

    def set(self):
        with self.lock:
            self.a = 1
            self.b = -1

    def check(self):
        with self.lock:
            assert (self.a == 0 and self.b == 0) or (self.a == 1 and self.b == -1)


def make(setters, checkers, fixed):
    """``reorder_N`` has N threads: first the setters, then the checkers."""

    def program():
        fields = Whole() if fixed else Torn()
        concurrently(*[fields.set] * setters, *[fields.check] * checkers)

    return program

"""carter01 of SCTBench: each group has an outer lock of its own, so that nobody who wants to release has to wait."""

import threading

from ftcheck import concurrently


class Groups:
    """The first of a group to come in takes ``shared`` for the group, the last one to leave gives it back."""

    def __init__(self):
        self.shared = threading.Lock()
        self.counting_a = threading.Lock()
        self.counting_b = threading.Lock()
        self.a = self.b = 0

    def visit_a(self):
        with self.counting_a:
            self.a += 1
            if self.a == 1:
                self.shared.acquire()
        with self.counting_a:
            self.a -= 1
            if self.a == 0:
                self.shared.release()

    def visit_b(self):
        with self.counting_b:
            self.b += 1
            if self.b == 1:
                self.shared.acquire()
        with self.counting_b:
            self.b -= 1
            if self.b == 0:
                self.shared.release()

    def stay_out(self):
        pass


def program():
    groups = Groups()
    concurrently(groups.visit_a, groups.visit_b, groups.stay_out, groups.stay_out)

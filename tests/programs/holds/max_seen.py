"""A lock makes comparing and writing one step."""

import threading

from ftcheck import concurrently


class Scores:
    def __init__(self):
        self.best = 0
        self.lock = threading.Lock()

    def record(self, score):
        with self.lock:
            if score > self.best:
                self.best = score


def program():
    scores = Scores()
    concurrently(lambda: scores.record(5), lambda: scores.record(9))
    assert scores.best == 9

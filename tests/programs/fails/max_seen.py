"""Two threads write down the best score: one of them has compared with a score that is no longer the best."""

from ftcheck import concurrently


class Scores:
    def __init__(self):
        self.best = 0

    def record(self, score):
        if score > self.best:
            self.best = score


def program():
    scores = Scores()
    concurrently(lambda: scores.record(5), lambda: scores.record(9))
    assert scores.best == 9

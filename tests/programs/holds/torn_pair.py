"""The pair is one tuple, replaced in one step: whoever reads it has both of one moment."""

from ftcheck import concurrently


def program():
    purse = {"both": (20_000, 0)}

    def move():
        for _ in range(20_000):
            left, right = purse["both"]
            purse["both"] = (left - 1, right + 1)

    def audit():
        for _ in range(20_000):
            left, right = purse["both"]
            assert left + right == 20_000

    concurrently(move, audit, audit, audit)

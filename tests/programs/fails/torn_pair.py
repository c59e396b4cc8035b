"""One thread moves money between two fields, another one adds them up in the middle of it."""

from ftcheck import concurrently


def program():
    purse = {"left": 20_000, "right": 0}

    def move():
        for _ in range(20_000):
            purse["left"] -= 1
            purse["right"] += 1

    def audit():
        for _ in range(20_000):
            assert purse["left"] + purse["right"] == 20_000

    concurrently(move, audit, audit, audit)

"""``list(d)`` is one step for the interpreter: the loop goes through a copy."""

from ftcheck import concurrently


def program():
    sessions = dict.fromkeys(range(300))

    def total():
        for _ in range(100):
            sum(key for key in list(sessions))

    def add():
        for key in range(300, 30_000):
            sessions[key] = None

    concurrently(total, add, total, total)

"""A lock makes reading and writing one step."""

import threading

from ftcheck import concurrently


def program():
    hits, lock = 0, threading.Lock()

    def visit():
        nonlocal hits
        with lock:
            hits += 1

    concurrently(visit, visit)
    assert hits == 2

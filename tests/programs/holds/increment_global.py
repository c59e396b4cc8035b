"""A lock makes reading and writing one step. It is older than the run."""

import threading

from ftcheck import concurrently

hits = 0
lock = threading.Lock()


def visit():
    global hits
    with lock:
        hits += 1


def program():
    global hits
    hits = 0
    concurrently(visit, visit)
    assert hits == 2

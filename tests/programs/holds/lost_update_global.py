"""Each thread counts for itself, and adds its total under a lock."""

import threading

from ftcheck import concurrently

hits = 0
lock = threading.Lock()


def visit():
    global hits
    mine = 0
    for _ in range(50_000):
        mine += 1
    with lock:
        hits += mine


def program():
    global hits
    hits = 0
    concurrently(visit, threads=4)
    assert hits == 200_000

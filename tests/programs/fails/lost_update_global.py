"""Four threads count in one global variable."""

from ftcheck import concurrently

hits = 0


def visit():
    global hits
    for _ in range(50_000):
        hits += 1


def program():
    global hits
    hits = 0
    concurrently(visit, threads=4)
    assert hits == 200_000

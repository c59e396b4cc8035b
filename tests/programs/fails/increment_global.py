"""Two threads add one to a global variable, once each."""

from ftcheck import concurrently

hits = 0


def visit():
    global hits
    hits += 1


def program():
    global hits
    hits = 0
    concurrently(visit, visit)
    assert hits == 2

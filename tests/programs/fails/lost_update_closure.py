"""Two threads add to one variable of the function around them."""

from ftcheck import concurrently


def program():
    hits = 0

    def visit():
        nonlocal hits
        hits += 1

    concurrently(visit, visit)
    assert hits == 2

"""Two threads add one to the same item of a list, once each."""

from ftcheck import concurrently


def program():
    totals = [0]

    def work():
        totals[0] += 1

    concurrently(work, work)
    assert sum(totals) == 2

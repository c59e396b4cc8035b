"""Both append to the list, in one step, and the total is made when both are done."""

from ftcheck import concurrently


def program():
    totals = [0]

    def work():
        totals.append(1)

    concurrently(work, work)
    assert sum(totals) == 2

"""Each thread has an item of its own; the total is made when both are done."""

from ftcheck import concurrently


def program():
    totals = [0, 0]

    def work(mine):
        for _ in range(50_000):
            totals[mine] += 1

    concurrently(lambda: work(0), lambda: work(1))
    assert sum(totals) == 100_000

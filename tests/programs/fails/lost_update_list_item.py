"""Four threads add to the same item of a list."""

from ftcheck import concurrently


def program():
    totals = [0]

    def work():
        for _ in range(50_000):
            totals[0] += 1

    concurrently(work, threads=4)
    assert totals == [200_000]

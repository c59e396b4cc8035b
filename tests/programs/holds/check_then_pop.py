"""Just pop, and take the error for the answer."""

import contextlib

from ftcheck import concurrently


def program():
    stacks, taken = [[number] for number in range(30_000)], ([], [])

    def work(mine):
        for stack in stacks:
            with contextlib.suppress(IndexError):
                mine.append(stack.pop())

    concurrently(lambda: work(taken[0]), lambda: work(taken[1]))
    assert sorted(taken[0] + taken[1]) == list(range(30_000))

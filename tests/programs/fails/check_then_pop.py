"""``if stack: stack.pop()``: another thread takes the last one in between."""

from ftcheck import concurrently


def program():
    stacks = [[number] for number in range(30_000)]

    def work():
        for stack in stacks:
            if stack:
                stack.pop()

    concurrently(work, work, work, work)

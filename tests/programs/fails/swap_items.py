"""Two threads swap the items of a list: two swaps must make the list what it was."""

from ftcheck import concurrently


def program():
    pair = ["left", "right"]

    def swap():
        pair[0], pair[1] = pair[1], pair[0]

    concurrently(swap, swap)
    assert pair == ["left", "right"]

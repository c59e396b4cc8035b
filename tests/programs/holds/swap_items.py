"""``list.reverse`` is one step."""

from ftcheck import concurrently


def program():
    pair = ["left", "right"]

    def swap():
        pair.reverse()

    concurrently(swap, swap)
    assert pair == ["left", "right"]

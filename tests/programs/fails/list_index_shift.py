"""Find the place of an item, and delete what is at that place: another deletion has moved the items in between."""

from ftcheck import concurrently


def program():
    items = ["a", "b", "c"]

    def remove(item):
        place = items.index(item)
        del items[place]

    concurrently(lambda: remove("a"), lambda: remove("b"))
    assert items == ["c"]

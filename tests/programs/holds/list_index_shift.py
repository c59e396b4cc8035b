"""``list.remove`` finds and deletes in one step."""

from ftcheck import concurrently


def program():
    items = ["a", "b", "c"]

    def remove(item):
        items.remove(item)

    concurrently(lambda: remove("a"), lambda: remove("b"))
    assert items == ["c"]

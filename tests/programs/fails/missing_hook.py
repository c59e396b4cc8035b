"""A dict makes its entries in ``__missing__``: two threads that miss the same key get two lists, and one is lost."""

from ftcheck import concurrently


class Index(dict):
    def __missing__(self, word):
        pages = []
        self[word] = pages
        return pages


def program():
    index = Index()
    concurrently(lambda: index["a"].append(1), lambda: index["a"].append(2))
    assert sorted(index["a"]) == [1, 2]

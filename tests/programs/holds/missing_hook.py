"""``dict.setdefault`` inserts in one step: both get the same list, whoever made it."""

from ftcheck import concurrently


class Index(dict):
    def __missing__(self, word):
        return self.setdefault(word, [])


def program():
    index = Index()
    concurrently(lambda: index["a"].append(1), lambda: index["a"].append(2))
    assert sorted(index["a"]) == [1, 2]

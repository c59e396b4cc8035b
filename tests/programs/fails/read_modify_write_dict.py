"""Two threads count words in one dict: ``d[k] = d.get(k, 0) + 1`` reads, and then writes."""

from ftcheck import concurrently


def program():
    counts = {}

    def count(word):
        counts[word] = counts.get(word, 0) + 1

    concurrently(lambda: count("a"), lambda: count("a"))
    assert counts == {"a": 2}

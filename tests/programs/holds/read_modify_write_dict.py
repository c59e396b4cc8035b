"""A lock makes reading and writing one step."""

import threading

from ftcheck import concurrently


def program():
    counts, lock = {}, threading.Lock()

    def count(word):
        with lock:
            counts[word] = counts.get(word, 0) + 1

    concurrently(lambda: count("a"), lambda: count("a"))
    assert counts == {"a": 2}

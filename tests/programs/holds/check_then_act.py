"""``dict.setdefault`` looks and inserts in one step: both get the same value, whoever computed it."""

import time

from ftcheck import concurrently


class Cache:
    def __init__(self):
        self._values = {}

    def get(self, key):
        if key not in self._values:
            self._values.setdefault(key, compute(key))
        return self._values[key]


def compute(key):
    time.sleep(0.001)  # reads a file
    return [key]


def program():
    cache, seen = Cache(), []
    concurrently(lambda: seen.append(cache.get("a")), lambda: seen.append(cache.get("a")))
    assert seen[0] is seen[1]

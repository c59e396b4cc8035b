"""``functools.lru_cache`` calls the function without a lock: two threads that ask first open two connections."""

import functools

from ftcheck import concurrently


class Pool:
    def __init__(self):
        self.opened = []
        self.open_once = functools.lru_cache(self.open)

    def open(self, host):
        self.opened.append(host)
        return [host]

    def connection(self):
        return self.open_once("localhost")


def program():
    pool = Pool()
    concurrently(pool.connection, pool.connection)
    assert pool.opened == ["localhost"]

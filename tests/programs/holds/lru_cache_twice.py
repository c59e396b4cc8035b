"""Whoever asks does so under a lock."""

import functools
import threading

from ftcheck import concurrently


class Pool:
    def __init__(self):
        self.opened = []
        self.lock = threading.Lock()
        self.open_once = functools.lru_cache(self.open)

    def open(self, host):
        self.opened.append(host)
        return [host]

    def connection(self):
        with self.lock:
            return self.open_once("localhost")


def program():
    pool = Pool()
    concurrently(pool.connection, pool.connection)
    assert pool.opened == ["localhost"]

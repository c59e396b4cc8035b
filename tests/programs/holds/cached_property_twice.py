"""Whoever asks does so under a lock."""

import functools
import threading

from ftcheck import concurrently


class Service:
    def __init__(self):
        self.host = "localhost"
        self.lock = threading.Lock()

    @functools.cached_property
    def connection(self):
        return [self.host]

    def connect(self):
        with self.lock:
            return self.connection


def program():
    service, seen = Service(), []
    concurrently(lambda: seen.append(service.connect()), lambda: seen.append(service.connect()))
    assert seen[0] is seen[1]

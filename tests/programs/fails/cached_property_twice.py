"""``functools.cached_property`` has no lock: two threads that ask first get two objects."""

import functools

from ftcheck import concurrently


class Service:
    def __init__(self):
        self.host = "localhost"

    @functools.cached_property
    def connection(self):
        return [self.host]

    def connect(self):
        return self.connection


def program():
    service, seen = Service(), []
    concurrently(lambda: seen.append(service.connect()), lambda: seen.append(service.connect()))
    assert seen[0] is seen[1]

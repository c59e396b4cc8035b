"""Round robin: who takes the first server and then rotates shares it with who looked in between."""

import collections

from ftcheck import concurrently


class Servers:
    def __init__(self):
        self.ring = collections.deque(["a", "b"])

    def next(self):
        server = self.ring[0]
        self.ring.rotate(-1)
        return server


def program():
    servers, used = Servers(), []
    concurrently(lambda: used.append(servers.next()), lambda: used.append(servers.next()))
    assert sorted(used) == ["a", "b"]

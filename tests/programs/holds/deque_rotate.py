"""The server is taken out in one step, and put back at the other end."""

import collections

from ftcheck import concurrently


class Servers:
    def __init__(self):
        self.ring = collections.deque(["a", "b"])

    def next(self):
        server = self.ring.popleft()
        self.ring.append(server)
        return server


def program():
    servers, used = Servers(), []
    concurrently(lambda: used.append(servers.next()), lambda: used.append(servers.next()))
    assert sorted(used) == ["a", "b"]

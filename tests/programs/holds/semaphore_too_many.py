"""Only who got a place gives it back."""

import threading

from ftcheck import concurrently


class Pool:
    def __init__(self):
        self.places = threading.BoundedSemaphore(1)
        self.connections = ["connection"]

    def use(self):
        admitted = self.places.acquire(blocking=False)
        try:
            if admitted:
                connection = self.connections.pop()
                self.connections.append(connection)
        finally:
            if admitted:
                self.places.release()


def program():
    pool = Pool()
    concurrently(pool.use, pool.use, pool.use)
    assert pool.connections == ["connection"]

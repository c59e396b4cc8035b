"""Who gets no place gives one back all the same: the next two are both let in, for one connection."""

import threading

from ftcheck import concurrently


class Pool:
    def __init__(self):
        self.places = threading.Semaphore(1)
        self.connections = ["connection"]

    def use(self):
        admitted = self.places.acquire(blocking=False)
        try:
            if admitted:
                connection = self.connections.pop()
                self.connections.append(connection)
        finally:
            self.places.release()


def program():
    pool = Pool()
    concurrently(pool.use, pool.use, pool.use)
    assert pool.connections == ["connection"]

"""One lock for one count."""

import threading

from ftcheck import concurrently


class Stock:
    def __init__(self):
        self.lock = threading.Lock()
        self.count = 5

    def add(self):
        with self.lock:
            self.count += 1

    def take(self):
        with self.lock:
            self.count -= 1


def program():
    stock = Stock()
    concurrently(stock.add, stock.take)
    assert stock.count == 5

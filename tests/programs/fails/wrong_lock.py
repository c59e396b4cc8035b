"""What comes in is counted under one lock, what goes out under another one: neither keeps the other one out."""

import threading

from ftcheck import concurrently


class Stock:
    def __init__(self):
        self.incoming, self.outgoing = threading.Lock(), threading.Lock()
        self.count = 5

    def add(self):
        with self.incoming:
            self.count += 1

    def take(self):
        with self.outgoing:
            self.count -= 1


def program():
    stock = Stock()
    concurrently(stock.add, stock.take)
    assert stock.count == 5

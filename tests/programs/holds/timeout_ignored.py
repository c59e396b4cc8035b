"""Who gets False tries again."""

import threading
import time

from ftcheck import concurrently


class Stock:
    def __init__(self):
        self.lock = threading.Lock()
        self.count = 0

    def order(self):
        with self.lock:
            count = self.count
            time.sleep(0.02)  # asks the supplier
            self.count = count + 1

    def give_back(self):
        while not self.lock.acquire(timeout=0.01):
            pass  # there would be something to tell the customer
        try:
            self.count += 1
        finally:
            self.lock.release()


def program():
    stock = Stock()
    concurrently(stock.order, stock.give_back)
    assert stock.count == 2

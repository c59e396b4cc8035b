"""One thread adds up a dict of two while another one adds a key, once: RuntimeError."""

from ftcheck import concurrently


class Prices:
    def __init__(self):
        self.prices = {"tea": 3, "milk": 1}
        self.total = 0

    def add_up(self):
        for name in self.prices:
            self.total += self.prices[name]

    def add(self):
        self.prices["bread"] = 2


def program():
    prices = Prices()
    concurrently(prices.add_up, prices.add)
    assert prices.total in (4, 6)

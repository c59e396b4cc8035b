"""An event is set and cleared at once: who comes to wait a little later waits for ever."""

import threading

from ftcheck import concurrently


class Start:
    def __init__(self):
        self.given = threading.Event()

    def run(self):
        self.given.wait()

    def give(self):
        self.given.set()
        self.given.clear()


def program():
    start = Start()
    concurrently(start.run, start.give)

"""The event stays set."""

import threading

from ftcheck import concurrently


class Start:
    def __init__(self):
        self.given = threading.Event()

    def run(self):
        self.given.wait()

    def give(self):
        self.given.set()


def program():
    start = Start()
    concurrently(start.run, start.give)

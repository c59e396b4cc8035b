"""The dict is filled first, and shown then."""

import threading

from ftcheck import concurrently


class Registry:
    def __init__(self):
        self.lock = threading.Lock()
        self.handlers = None

    def handler(self, name):
        if self.handlers is None:
            with self.lock:
                if self.handlers is None:
                    handlers = {}
                    handlers["text"] = str
                    self.handlers = handlers
        return self.handlers[name]


def program():
    registry = Registry()
    concurrently(lambda: registry.handler("text"), lambda: registry.handler("text"))

"""Double-checked locking that shows the dict before it is filled: who checks without the lock finds it empty."""

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
                    self.handlers = {}
                    self.handlers["text"] = str
        return self.handlers[name]


def program():
    registry = Registry()
    concurrently(lambda: registry.handler("text"), lambda: registry.handler("text"))

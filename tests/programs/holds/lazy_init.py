"""Whoever asks looks under a lock."""

import threading

from ftcheck import concurrently


class Config:
    def __init__(self):
        self.reads = []
        self._values = None
        self.lock = threading.Lock()

    def values(self):
        with self.lock:
            if self._values is None:
                self._values = self.read()
            return self._values

    def read(self):
        self.reads.append("settings.ini")
        return {"debug": True}


def program():
    config = Config()
    concurrently(config.values, config.values)
    assert config.reads == ["settings.ini"]

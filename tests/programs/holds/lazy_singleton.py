"""The check is repeated under a lock (double-checked locking)."""

import threading
import time

from ftcheck import concurrently


class Settings:
    instance = None
    lock = threading.Lock()

    def __init__(self):
        time.sleep(0.001)  # reads a file

    @classmethod
    def get(cls):
        if cls.instance is None:
            with cls.lock:
                if cls.instance is None:
                    cls.instance = cls()
        return cls.instance


def program():
    Settings.instance = None
    seen = []
    concurrently(lambda: seen.append(Settings.get()), threads=3)
    assert len(set(map(id, seen))) == 1

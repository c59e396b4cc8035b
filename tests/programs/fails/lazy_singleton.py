"""A singleton is made at its first use: two threads that use it first make two."""

import time

from ftcheck import concurrently


class Settings:
    instance = None

    def __init__(self):
        time.sleep(0.001)  # reads a file

    @classmethod
    def get(cls):
        if cls.instance is None:
            cls.instance = cls()
        return cls.instance


def program():
    Settings.instance = None
    seen = []
    concurrently(lambda: seen.append(Settings.get()), threads=3)
    assert len(set(map(id, seen))) == 1

"""A file is read when its values are first asked for: two threads that ask first read it twice."""

from ftcheck import concurrently


class Config:
    def __init__(self):
        self.reads = []
        self._values = None

    def values(self):
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

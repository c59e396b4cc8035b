"""Who finds the lock taken leaves what it has added to the one that holds it, who has just looked for the last time."""

import threading

from ftcheck import concurrently


class Log:
    def __init__(self):
        self.writing = threading.Lock()
        self.pending, self.written = [], []

    def add(self, line):
        self.pending.append(line)
        if self.writing.acquire(blocking=False):
            try:
                while self.pending:
                    self.written.append(self.pending.pop())
            finally:
                self.writing.release()


def program():
    log = Log()
    concurrently(lambda: log.add("one"), lambda: log.add("two"))
    assert sorted(log.written) == ["one", "two"]

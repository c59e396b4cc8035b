"""The code under test starts its own threads: each adds its part under a lock."""

import threading


class Adder:
    def __init__(self, *parts):
        self.parts, self.total = parts, 0
        self.lock = threading.Lock()

    def add(self, part):
        with self.lock:
            self.total += part

    def run(self):
        threads = [threading.Thread(target=self.add, args=(part,)) for part in self.parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.total


def program():
    assert Adder(1, 2).run() == 3

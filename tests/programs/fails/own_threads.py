"""The code under test starts its own threads: each adds its part to one total."""

import threading


class Adder:
    def __init__(self, *parts):
        self.parts, self.total = parts, 0

    def add(self, part):
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

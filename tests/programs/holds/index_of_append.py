"""A lock makes appending and measuring one step."""

import threading

from ftcheck import concurrently


class Names:
    def __init__(self):
        self.names = []
        self.lock = threading.Lock()

    def add(self, name):
        with self.lock:
            self.names.append(name)
            return len(self.names) - 1


def program():
    table, places = Names(), {}

    def add(name):
        places[name] = table.add(name)

    concurrently(lambda: add("ann"), lambda: add("bob"))
    assert all(table.names[place] == name for name, place in places.items())

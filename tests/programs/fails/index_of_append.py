"""Append, and take the length for the place: another thread appends in between, and both get the same place."""

from ftcheck import concurrently


class Names:
    def __init__(self):
        self.names = []

    def add(self, name):
        self.names.append(name)
        return len(self.names) - 1


def program():
    table, places = Names(), {}

    def add(name):
        places[name] = table.add(name)

    concurrently(lambda: add("ann"), lambda: add("bob"))
    assert all(table.names[place] == name for name, place in places.items())

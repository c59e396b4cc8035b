"""Two wait for one event, and only one of them is woken up: the other one waits for ever."""

import threading

from ftcheck import concurrently


class Door:
    def __init__(self):
        self.changed = threading.Condition()
        self.open = False

    def unlock(self):
        with self.changed:
            self.open = True
            self.changed.notify()

    def enter(self):
        with self.changed:
            while not self.open:
                self.changed.wait()


def program():
    door = Door()
    concurrently(door.unlock, door.enter, door.enter)

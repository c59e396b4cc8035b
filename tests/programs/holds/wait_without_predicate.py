"""The consumer looks first, and waits only if the door is shut."""

import threading

from ftcheck import concurrently


class Door:
    def __init__(self):
        self.changed = threading.Condition()
        self.open = False

    def enter(self):
        with self.changed:
            while not self.open:
                self.changed.wait()
            assert self.open

    def unlock(self):
        with self.changed:
            self.open = True
            self.changed.notify()


def program():
    door = Door()
    concurrently(door.enter, door.unlock)

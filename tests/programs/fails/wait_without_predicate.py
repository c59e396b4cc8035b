"""The consumer waits for a notification without looking whether it has already been: then it waits for ever."""

import threading

from ftcheck import concurrently


class Door:
    def __init__(self):
        self.changed = threading.Condition()
        self.open = False

    def enter(self):
        with self.changed:
            self.changed.wait()
            assert self.open

    def unlock(self):
        with self.changed:
            self.open = True
            self.changed.notify()


def program():
    door = Door()
    concurrently(door.enter, door.unlock)

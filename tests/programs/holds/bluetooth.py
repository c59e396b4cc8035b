"""bluetooth_driver of SCTBench: a request says that it is there, and looks only then whether the driver stops."""

import threading

from ftcheck import concurrently


class Driver:
    def __init__(self):
        self.lock = threading.Lock()
        self.pending = 1  # the driver itself
        self.stopping = False
        self.idle = threading.Event()
        self.stopped = False

    def enter(self):
        with self.lock:
            self.pending += 1
        return not self.stopping

    def leave(self):
        with self.lock:
            self.pending -= 1
            pending = self.pending
        if pending == 0:
            self.idle.set()

    def request(self):
        if self.enter():
            assert not self.stopped
        self.leave()

    def stop(self):
        self.stopping = True
        self.leave()
        self.idle.wait()
        self.stopped = True


def program():
    driver = Driver()
    concurrently(driver.request, driver.stop)

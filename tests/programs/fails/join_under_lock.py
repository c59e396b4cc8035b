"""A service waits for its thread while it holds the lock that the thread needs to come to its end."""

import threading


class Service:
    def __init__(self):
        self.lock = threading.Lock()
        self.log = []
        self.thread = threading.Thread(target=self.work)

    def work(self):
        with self.lock:
            self.log.append("worked")

    def stop(self):
        with self.lock:
            self.log.append("stopping")
            self.thread.join()


def program():
    service = Service()
    service.thread.start()
    service.stop()
    assert sorted(service.log) == ["stopping", "worked"]

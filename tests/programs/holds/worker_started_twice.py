"""Looking and starting are one step, under a lock."""

import threading

from ftcheck import concurrently


class Service:
    def __init__(self):
        self.started = []
        self.worker = None
        self.runs = []
        self.lock = threading.Lock()

    def start(self):
        with self.lock:
            if self.worker is None:
                worker = threading.Thread(target=self.run)
                self.worker = worker
                self.started.append(worker)
                worker.start()

    def run(self):
        self.runs.append("run")


def program():
    service = Service()
    concurrently(service.start, service.start)
    for worker in service.started:
        worker.join()
    assert service.runs == ["run"]

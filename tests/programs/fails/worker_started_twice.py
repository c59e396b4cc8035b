"""The worker is started when it is first needed: two threads that need it first start two."""

import threading

from ftcheck import concurrently


class Service:
    def __init__(self):
        self.started = []
        self.worker = None
        self.runs = []

    def start(self):
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

"""Whoever wants it to have ended joins it."""

import threading


def program():
    done = threading.Event()
    workers = [threading.Thread(target=done.set)]
    for worker in workers:
        worker.start()
    done.wait()
    for worker in workers:
        worker.join()
    assert [worker for worker in workers if worker.is_alive()] == []

"""That a thread has said that it is done does not mean that it has ended."""

import threading


def program():
    done = threading.Event()
    workers = [threading.Thread(target=done.set)]
    for worker in workers:
        worker.start()
    done.wait()
    assert [worker for worker in workers if worker.is_alive()] == []

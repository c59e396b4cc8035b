"""Whoever waits for a result looks for it, and only then whether the worker is still alive: in between it may have come."""

import threading


def take(results, worker):
    if not results:
        if not worker.is_alive():
            raise RuntimeError("the worker has ended without a result")
        worker.join()
    return results.pop()


def program():
    results = []
    worker = threading.Thread(target=lambda: results.append(42))
    worker.start()
    assert take(results, worker) == 42

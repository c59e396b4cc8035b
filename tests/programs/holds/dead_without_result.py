"""First whether the worker is still alive, then whether there is a result."""

import threading


def take(results, worker):
    alive = worker.is_alive()
    if not results:
        if not alive:
            raise RuntimeError("the worker has ended without a result")
        worker.join()
    return results.pop()


def program():
    results = []
    worker = threading.Thread(target=lambda: results.append(42))
    worker.start()
    assert take(results, worker) == 42

"""The thread is waited for."""

import threading


def program():
    results = []
    thread = threading.Thread(target=lambda: results.append(6 * 7))
    thread.start()
    thread.join()
    assert results == [42]

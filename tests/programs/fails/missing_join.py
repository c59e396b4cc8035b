"""The result of a thread is read without waiting for the thread."""

import threading


def program():
    results = []
    thread = threading.Thread(target=lambda: results.append(6 * 7))
    thread.start()
    assert results == [42]

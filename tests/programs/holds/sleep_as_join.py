"""The thread is waited for, however long it takes."""

import threading
import time


def program():
    results = []

    def work():
        time.sleep(0.01)  # asks a database
        results.append(42)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == [42]

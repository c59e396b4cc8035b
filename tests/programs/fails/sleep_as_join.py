"""The result of a thread is read after the time that the thread needs: which one of the two is first is luck."""

import threading
import time


def program():
    results = []

    def work():
        time.sleep(0.01)  # asks a database
        results.append(42)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.01)
    assert results == [42]

"""The consumer looks before it takes the lock: the only notification may come in between, and it waits for ever."""

import threading
import time

from ftcheck import concurrently


def program():
    items, arrived = [], threading.Condition()

    def consume():
        if not items:
            time.sleep(0.001)  # writes a line to a log
            with arrived:
                arrived.wait()
        assert items == ["item"]

    def produce():
        items.append("item")
        with arrived:
            arrived.notify()

    concurrently(consume, produce)

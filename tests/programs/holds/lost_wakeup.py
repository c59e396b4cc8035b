"""The consumer looks again under the lock, and waits only if there is nothing."""

import threading
import time

from ftcheck import concurrently


def program():
    items, arrived = [], threading.Condition()

    def consume():
        with arrived:
            arrived.wait_for(lambda: items)
        time.sleep(0.001)  # writes a line to a log
        assert items == ["item"]

    def produce():
        items.append("item")
        with arrived:
            arrived.notify()

    concurrently(consume, produce)

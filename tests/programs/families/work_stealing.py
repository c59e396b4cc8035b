"""WorkStealQueue of CHESS, in SCTBench: the "THE" queue of Cilk, of which the owner has one end and thieves the other.

``head`` and ``tail`` are read and written without the lock, wherever owner and thief cannot meet. A thief moves ``head``
on before it looks whether there is anything to steal. So one slot has to stay free, in case ``head`` is one too far just
now; with all slots in use, the owner overwrites the one that is being stolen.
"""

import threading
import time

from ftcheck import concurrently

LARGEST = 1 << 20


class WorkStealQueue:
    def __init__(self, lock):
        self.lock = lock
        self.head = self.tail = 0
        self.mask = 1
        self.elements = [None, None]

    def has_room(self, tail):
        """The correction: one slot stays free."""
        return tail < self.head + self.mask

    def push(self, element):
        tail = self.tail
        if self.has_room(tail) and tail < LARGEST:
            self.elements[tail & self.mask] = element
            self.tail = tail + 1
        else:
            self.push_locked(element)

    def push_locked(self, element):
        with self.lock:
            head = self.head
            count = self.tail - head
            head &= self.mask
            self.head = head
            self.tail = head + count
            if count >= self.mask:
                larger = [None] * (2 * (self.mask + 1))
                for number in range(count):
                    larger[number] = self.elements[(head + number) & self.mask]
                self.elements = larger
                self.mask = len(larger) - 1
                self.head = 0
                self.tail = count
            assert count < self.mask
            self.elements[self.tail & self.mask] = element
            self.tail += 1

    def pop(self):
        """The element that was pushed last, or None."""
        tail = self.tail - 1
        self.tail = tail
        if self.head <= tail:
            return self.elements[tail & self.mask]
        self.tail = tail + 1
        return self.pop_locked()

    def pop_locked(self):
        with self.lock:
            element = None
            tail = self.tail - 1
            self.tail = tail
            if self.head <= tail:
                element = self.elements[tail & self.mask]
            else:
                self.tail = tail + 1
            if self.head > tail:
                self.head = self.tail = 0
                element = None
            return element

    def steal(self):
        """The element that was pushed first, or None."""
        with self.lock:
            head = self.head
            self.head = head + 1
            if head < self.tail:
                return self.elements[head & self.mask]
            self.head = head
            return None


class OffByOne(WorkStealQueue):
    def has_room(self, tail):
        return tail < self.head + self.mask + 1


class SpinLock:
    """The lock of the interlocked variant: an exchange that fails is tried again, after the others had their turn."""

    def __init__(self):
        self.taken = threading.Lock()

    def __enter__(self):
        while not self.taken.acquire(blocking=False):
            time.sleep(0)

    def __exit__(self, *exception):
        self.taken.release()


class Item:
    def __init__(self):
        self.taken = 0


class Work:
    def __init__(self, queue):
        self.queue = queue
        self.items = [Item(), Item(), Item(), Item()]

    def own(self):
        queue, items = self.queue, self.items
        for number in (0, 2):
            queue.push(items[number])
            queue.push(items[number + 1])
            take(queue.pop())
        take(queue.pop())
        take(queue.pop())

    def steal(self):
        queue = self.queue
        take(queue.steal())
        take(queue.steal())


def take(item):
    if item is not None:
        item.taken += 1


def make(lock, fixed):
    """One owner, and one thief that tries twice. ``lock`` makes the lock of the queue."""

    def program():
        work = Work(WorkStealQueue(lock()) if fixed else OffByOne(lock()))
        concurrently(work.own, work.steal)
        assert [item.taken for item in work.items] == [1, 1, 1, 1]

    return program

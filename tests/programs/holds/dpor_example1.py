"""Indexer of the dynamic partial order reduction paper, with 3 threads on 16 slots: they meet at a few slots only.

It has no bug, and few inequivalent interleavings among very many.
"""

import threading

from ftcheck import concurrently

SLOTS, THREADS, WORDS = 16, 3, 4


class Table:
    def __init__(self):
        self.words = [0] * SLOTS
        self.locks = [threading.Lock() for _ in range(SLOTS)]

    def put_if_free(self, slot, word):
        with self.locks[slot]:
            if self.words[slot] == 0:
                self.words[slot] = word
                return True
            return False

    def index(self, thread):
        for number in range(1, WORDS + 1):
            word = number * 11 + thread
            slot = word * 7 % SLOTS
            while not self.put_if_free(slot, word):
                slot = (slot + 1) % SLOTS


def program():
    table = Table()
    concurrently(*(lambda thread=thread: table.index(thread) for thread in range(THREADS)))
    expected = [number * 11 + thread for number in range(1, WORDS + 1) for thread in range(THREADS)]
    assert sorted(word for word in table.words if word) == expected

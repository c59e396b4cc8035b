"""Blocks are filled by one thread and read by another, which got them in each of the ways that Python has."""

import concurrent.futures
import queue
import threading
import time

import pytest
import unsafe_hand_over as sample

import ftcheck

TIMES = 10
FIRST = 200


class Ways:
    """How a block gets from one thread to another: each has a way in and a way out."""

    def __init__(self):
        self.queue, self.simple, self.lock, self.listed = queue.Queue(), queue.SimpleQueue(), threading.Lock(), []
        self.events, self.behind = [threading.Event() for _ in range(TIMES)], {}
        self.published, self.pairs = {}, [None] * TIMES

    def give(self, number, new):
        self.queue.put(new())
        self.simple.put(new())
        with self.lock:
            self.listed.append(new())
        self.behind[number] = new()
        self.events[number].set()
        self.published[number] = new()
        self.pairs[number] = (number, new())

    def take(self, number):
        yield self.queue.get()
        yield self.simple.get()
        while True:
            with self.lock:
                if self.listed:
                    break
            time.sleep(0)
        with self.lock:
            yield self.listed.pop(0)
        self.events[number].wait()
        yield self.behind[number]
        while number not in self.published:
            time.sleep(0)
        yield self.published[number]
        while self.pairs[number] is None:
            time.sleep(0)
        yield self.pairs[number][1]


@pytest.mark.ftcheck
def test_blocks_arrive_as_they_were():
    ways = Ways()
    before = sample.Block.filled()

    def warm_up():
        block = sample.Block()
        for _ in range(FIRST):
            block.fill(7)

    def give():
        warm_up()
        for number in range(TIMES):
            ways.give(number, lambda: sample.Block().fill(7))

    def take():
        warm_up()
        for number in range(TIMES):
            for block in ways.take(number):
                assert block.sum() == 7 * 200
                block.fill(0)

    ftcheck.concurrently(give, take)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for block in pool.map(lambda value: sample.Block().fill(value), [7] * TIMES):
            assert block.sum() == 7 * 200
    assert sample.Block.filled() - before == ((6 + 6 + 1) * TIMES + 2 * FIRST) * 200

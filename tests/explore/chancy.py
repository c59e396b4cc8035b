"""Code that does something else if chance, time, or what happened before says so; for :mod:`tests.explore.test_divergence`.

In a module of its own, because pytest rewrites the assertions of those that it collects: their bytecode is another one.
"""

import gc
import random
import time
import weakref

from ftcheck import concurrently


class Box:
    def __init__(self, **attributes):
        vars(self).update(attributes)


def lost_update(detour):
    """Fails with one preemption, within ``+=``; thread 1 has one more point before that where ``detour()`` says so."""
    box = Box(value=0, noted=0)

    def first():
        if detour():
            box.noted = 1
        box.value += 1  # here it is stopped

    def second():
        box.value += 1
        box.noted += 0

    concurrently(first, second)
    assert box.value == 2


def by_random():
    lost_update(lambda: random.random() < 0.5)


def by_shuffling():
    order = list(range(10))
    random.shuffle(order)
    lost_update(lambda: order[0] < 5)


def by_time():
    began = time.monotonic()
    time.sleep(random.uniform(1, 2))
    lost_update(lambda: int((time.perf_counter() - began) * 1e6) % 2 == 0)


class Cycle:
    def __init__(self, box):
        self.me, self.box = self, box

    def __del__(self):
        self.box.noted += 1


def by_collecting():
    """So many cycles with a finaliser that they would be collected under way, who knows where."""
    box = Box(noted=0)
    for _ in range(5_000):
        Cycle(box)
    lost_update(lambda: box.noted > 0)
    if box.noted:
        raise RuntimeError("collected in the middle of a run")


def by_collecting_itself():
    box = Box(noted=0)
    Cycle(box)
    gc.collect()
    lost_update(lambda: box.noted % 2 == 1)


def by_weakref():
    """The last reference goes in one of the threads, and the callback runs there and then."""
    gone, held = [], [Box(), Box()]
    watched = [weakref.ref(one, gone.append) for one in held]

    def drop():
        held.pop()
        assert len(gone) == len(watched) - len(held)

    concurrently(drop, lambda: lost_update(lambda: len(gone) > 0))


PROGRAMS = {one.__name__: one for one in (by_random, by_shuffling, by_time, by_collecting, by_collecting_itself, by_weakref)}

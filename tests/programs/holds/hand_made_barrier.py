"""``threading.Barrier`` lets nobody in before all of the last phase are out."""

import threading

from ftcheck import concurrently


def program():
    barrier, phases = threading.Barrier(2), [0, 0]

    def work(me):
        for phase in (1, 2):
            phases[me] = phase
            barrier.wait()
            assert phases[1 - me] >= phase

    concurrently(lambda: work(0), lambda: work(1))

"""Two consumers, one sentinel: the second consumer waits for one of its own. Fails in every interleaving."""

import queue

from ftcheck import concurrently


def program():
    jobs, done = queue.Queue(), []

    def produce():
        jobs.put("first")
        jobs.put("second")
        jobs.put(None)

    def consume():
        while (job := jobs.get()) is not None:
            done.append(job)

    concurrently(produce, consume, consume)
    assert sorted(done) == ["first", "second"]

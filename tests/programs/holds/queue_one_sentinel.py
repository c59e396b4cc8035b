"""One sentinel for each consumer."""

import queue

from ftcheck import concurrently


def program():
    jobs, done = queue.Queue(), []

    def produce():
        jobs.put("first")
        jobs.put("second")
        jobs.put(None)
        jobs.put(None)

    def consume():
        while (job := jobs.get()) is not None:
            done.append(job)

    concurrently(produce, consume, consume)
    assert sorted(done) == ["first", "second"]

"""``if not queue.empty(): queue.get()``: another thread takes the last one in between, and get() waits for ever."""

import queue

from ftcheck import concurrently


def program():
    jobs, done = queue.SimpleQueue(), []
    jobs.put("job")

    def work():
        if not jobs.empty():
            done.append(jobs.get())

    concurrently(work, work)
    assert done == ["job"]

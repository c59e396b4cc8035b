"""Just get without waiting, and take the exception for the answer."""

import contextlib
import queue

from ftcheck import concurrently


def program():
    jobs, done = queue.SimpleQueue(), []
    jobs.put("job")

    def work():
        with contextlib.suppress(queue.Empty):
            done.append(jobs.get_nowait())

    concurrently(work, work)
    assert done == ["job"]

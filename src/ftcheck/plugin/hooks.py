"""Hooks that ftcheck offers to conftest.py files and other plugins."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.hookspec
def pytest_ftcheck_thread(item: pytest.Item, thread: int) -> Callable[[], object] | None:
    """A thread that will run a test concurrently has started. Called on this thread, before anything else runs on it.

    For what a thread needs once, and a fixture cannot give it: a CUDA context, a database handle in a
    :class:`threading.local`, a profiler that is registered per thread. The fixtures of the test are set up after this, and
    all threads line up after them, so it does not cost overlap. The threads of :func:`ftcheck.concurrently` are included::

        def pytest_ftcheck_thread(item, thread):
            context = cuda.Device(0).make_context()
            return context.pop

    :param item: the test.
    :param thread: the number of the thread, from 0.
    :returns: what to call on the same thread at its end, or None.
    """

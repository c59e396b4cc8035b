"""Executors that a run has used and not shut down.

Their workers are no daemons, but nobody waits for one that has nothing to do: when Python ends, it tells them to
(``concurrent.futures.thread._python_exit``). So an idle worker after the end of a test is no deadlock, and a run does not
wait for its end. When the run is over, so are its threads; an executor that lives on (a module's, a class's) would go on
counting them, start no others, and whoever asks it next would wait for ever. So it is put back to what it was without them.
"""

from __future__ import annotations

import queue
import threading
import weakref
from concurrent.futures import thread as futures
from typing import Any, Self

from ftcheck import _core


class Executors:
    """Looks at each thread that starts, while this is entered."""

    def __init__(self) -> None:
        self._started: list[tuple[threading.Thread, weakref.ref[futures.ThreadPoolExecutor]]] = []

    def __enter__(self) -> Self:
        _core.watch_starts(self._works_for_one)
        return self

    def __exit__(self, *args: object) -> None:
        _core.watch_starts(None)

    def _works_for_one(self, thread: threading.Thread) -> bool:
        known: dict[str, Any] = vars(thread)
        if known.get("_target") is not vars(futures)["_worker"]:
            return False
        self._started.append((thread, known["_args"][0]))
        return True

    def put_back(self) -> None:
        """The run is over, and so are the threads that were started in it."""
        for thread, reference in self._started:
            executor = reference()
            if executor is not None:
                _without(executor, thread)
        self._started.clear()


def _without(executor: futures.ThreadPoolExecutor, thread: threading.Thread) -> None:
    state: dict[str, Any] = vars(executor)
    if state["_shutdown"]:
        return
    state["_threads"].discard(thread)
    if not state["_threads"]:
        state["_idle_semaphore"] = threading.Semaphore(0)
        while True:  # what nobody came to do
            try:
                state["_work_queue"].get_nowait()
            except queue.Empty:
                break

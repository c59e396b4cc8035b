"""The threads on which the bodies of ``concurrently()`` run; ``_core/pool.c`` has the rest of it.

A thread is started when more bodies than ever before are to run at a time, and serves one body after the other until control
is given back. It is started outside of control: who starts it is under control, and the new one is nobody's yet.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable

from ftcheck import _core


class _Server(threading.Thread):
    """A thread of the pool.

    :ivar place: its number there.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.place: int = _core.claim_place(self)
        self.name = f"concurrently-{self.place}"

    @property
    def daemon(self) -> bool:
        """Not to the code that it runs, whose threads inherit it: they are to be as if the test itself had started them."""
        return self.ident is None

    @daemon.setter
    def daemon(self, daemon: bool) -> None:
        raise RuntimeError("cannot set daemon status of active thread")

    def run(self) -> None:
        _core.serve(self.place)


def run_bodies(
    bodies: list[Callable[[], object]], contexts: list[contextvars.Context], *, builtins: bool
) -> list[BaseException | None]:
    """Under control: run each of them in its context, on a thread of the pool.

    :param builtins: some may be builtins: calls of these are scheduling points.
    :returns: what each raised, or None.
    :raises RuntimeError: they would be more threads than can be controlled.
    """
    for _ in range(len(bodies) - _core.idle_places()):
        _core.uncontrolled(lambda: _Server().start())
    return _core.run_bodies(bodies, contexts, builtins)


def send_home() -> None:
    """End them, and wait until they have ended. One that blocks outside of control ends when it comes back from there."""
    for thread in _core.send_home():
        thread.join()

"""Says so the moment the GIL comes on, in production and in CI, and names the module and the chain of imports.

Three ways to have it: ``ftcheck.guard.install()`` at the beginning of a program; ``python -m ftcheck.guard SCRIPT``
(``ftcheck guard -- CMD`` is the same); and the environment variable ``FTCHECK_GUARD``.

The variable needs something that runs before the program. A ``sitecustomize`` would hide the one that is there already,
``PYTHONPATH`` leaks into every child and is ignored under ``-E`` and ``-I``, and a file that comes with the installation
would make everybody's interpreter start slower who has only installed a test tool. So it is a ``.pth`` file, one line
that looks at the variable and imports nothing unless it is set, and it is written on request only
(``ftcheck guard --enable``), into the one environment it is for. It works under ``-E`` and ``-I`` and in every child
process that has the variable; without ftcheck, or with ``-S``, it does nothing.

What a program prints, raises and returns stays as it is: the guard writes to stderr, and only once something asks for
the GIL. The price is one check for each extension module that is loaded (:mod:`ftcheck.gil_watch`).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Callable, MutableMapping, Sequence
from typing import Literal

from ftcheck.gil_watch import GilEvent, GilWatch, asking, gil_enabled

ACTIONS = ("warn", "raise", "exit")
VARIABLE = "FTCHECK_GUARD"
EXIT_STATUS = 3
"""Of a program that ``exit`` has ended."""
_FORCED: dict[int, str] = {
    1: "PYTHON_GIL=1 (or -X gil=1) has the GIL on all the time",
    0: "PYTHON_GIL=0 (or -X gil=0) keeps the GIL off",
}


class GilEnabledError(RuntimeError):
    """A module turned the GIL on, and the guard was to raise.

    No :exc:`ImportError`, which ``try: import fast; except ImportError`` would swallow.

    :ivar event: which module, and who imported it.
    """

    def __init__(self, event: GilEvent) -> None:
        super().__init__(event.text)
        self.event = event


class Guard:
    """What :func:`install` gives back.

    :ivar watching: whether the GIL can come on here at all, so that there is something to see.
    :ivar why: why not; empty where it is watching.
    :ivar events: what was seen so far.
    """

    def __init__(self, action: str, on_event: Callable[[GilEvent], object] | None = None) -> None:
        self.why = cannot_see()
        self.watching = not self.why
        self.events: list[GilEvent] = []
        self._action, self._on_event = action, on_event
        self._watch = GilWatch(self._seen)

    def start(self) -> None:
        """Begin.

        :raises GilEnabledError: with the action ``raise``, where the GIL is on already.
        """
        if not self.watching:
            _say(f"nothing is watched: {self.why}")
            return
        self._watch.install(whatever=True)
        atexit.register(self._at_exit)
        if gil_enabled():
            refused = self._seen(GilEvent(asking()))
            if refused is not None:
                raise refused

    def stop(self) -> None:
        """No longer."""
        self._watch.uninstall()
        atexit.unregister(self._at_exit)

    def _seen(self, event: GilEvent) -> BaseException | None:
        self.events.append(event)
        _say(_lines(event))
        if self._on_event is not None:
            self._on_event(event)
        if self._action == "exit":
            _say(f"the program is ended, with status {EXIT_STATUS}")
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):
                    stream.flush()
            os._exit(EXIT_STATUS)
        return GilEnabledError(event) if self._action == "raise" else None

    def _at_exit(self) -> None:
        if not self.events and gil_enabled():
            self.events.append(GilEvent(asking()))
            _say(_lines(self.events[0]))
        if self.events:
            names = ", ".join(dict.fromkeys(name for event in self.events for name in event.modules)) or "none that is known"
            loaded = f"{self._watch.loaded} extension module{'' if self._watch.loaded == 1 else 's'} loaded since its start"
            _say(f"the GIL was on at the end; asked for by: {names} ({loaded})")


def install(
    action: Literal["warn", "raise", "exit"] = "warn", on_event: Callable[[GilEvent], object] | None = None
) -> Guard:
    """Watch this process, from here to its end.

    :param action: ``warn``: say so on stderr, for each module that asks for the GIL, not for the first one only.
        ``raise``: say so, and raise :exc:`GilEnabledError` in place of the import. ``exit``: say so, and end the process
        at once with status 3; no ``finally`` and no exit handler runs.
    :param on_event: called with each event, on the importing thread: for a metric or a log of one's own.
    :returns: the guard; its ``watching`` is False where the GIL cannot come on, which is said on stderr, too.
    :raises ValueError: no such action.
    :raises GilEnabledError: with ``raise``, where the GIL is on already. (It cannot be turned off again.)
    """
    if action not in ACTIONS:
        raise ValueError(f"action must be one of {', '.join(ACTIONS)}, not {action!r}")
    guard = Guard(action, on_event)
    guard.start()
    return guard


def cannot_see() -> str:
    """Why there is nothing to be seen in this interpreter; empty: there is."""
    if "t" not in sys.abiflags:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f"this is a build with the GIL, which is on all the time (Python {version} is not {version}t)"
    forced: int | None = getattr(sys.flags, "gil", None)
    return "" if forced is None else _FORCED[int(forced)]


def from_environment(environment: MutableMapping[str, str] = os.environ) -> Guard | None:
    """What the ``.pth`` file calls: do as ``FTCHECK_GUARD`` says.

    :returns: None where it is empty, or says no such action, which is said on stderr.
    """
    action = environment.get(VARIABLE, "")
    if action not in ACTIONS:
        if action:
            _say(f"nothing is watched: {VARIABLE} must be one of {', '.join(ACTIONS)}, not {action!r}")
        return None
    return install(action)  # type: ignore[arg-type]


def main(words: Sequence[str]) -> None:
    """``python -m ftcheck.guard [--action ACTION] SCRIPT|-m MODULE|-c CODE [ARGUMENT ...]``.

    :raises SystemExit: wrong usage (status 2), and whatever the program raises.
    """
    from ftcheck import guard_program  # not for install()

    guard_program.main(words)


def _lines(event: GilEvent) -> str:
    return "\n".join([event.text.partition(", imported at ")[0], *(f"imported {place}" for place in event.chain)])


def _say(text: str) -> None:
    """In one piece, so that the lines of two threads do not mix."""
    if sys.stderr is None:
        return
    lines = "".join(
        f"{'ftcheck guard: ' if not number else '    '}{line}\n" for number, line in enumerate(text.splitlines())
    )
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(lines)
        sys.stderr.flush()


if __name__ == "__main__":
    from ftcheck import guard

    guard.main(sys.argv[1:])  # of the module that programs import, not of this second copy

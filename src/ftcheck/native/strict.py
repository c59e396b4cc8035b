"""The strict rule, from Python: the beginning and the end of threads, and what was found, in the words of the report.

By the strict rule nothing orders but explicit synchronisation (``_core/strict.c``). ``_core`` sees locks, atomic operations
and queues; that a thread begins after what was done before its ``start()``, and has ended before ``join()`` returns, it is
told from here: the clock of the thread's object is told at ``start()`` and at the end, and heard at the beginning and in
``join()``.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace

from ftcheck import _core
from ftcheck.coverage import Coverage
from ftcheck.locations import Location
from ftcheck.native import races
from ftcheck.native.races import Access, Found
from ftcheck.possible import PossibleRace, PossibleRaces


@contextlib.contextmanager
def threads_followed() -> Iterator[None]:
    """See threads begin and end within this context."""
    kind = threading.Thread
    start, bootstrap, join = kind.start, kind._bootstrap, kind.join  # type: ignore[attr-defined]

    def started(thread: threading.Thread) -> None:
        _core.native_tell(id(thread))
        start(thread)

    def at_work(thread: threading.Thread) -> None:
        _core.native_begins(id(thread))
        try:
            bootstrap(thread)
        finally:
            _core.native_tell(id(thread))

    def joined(thread: threading.Thread, timeout: float | None = None) -> None:
        join(thread, timeout)
        if not thread.is_alive():
            _core.native_hear(id(thread))

    ours = {"start": started, "_bootstrap": at_work, "join": joined}
    theirs = {"start": start, "_bootstrap": bootstrap, "join": join}
    for name, function in ours.items():
        setattr(kind, name, function)
    try:
        yield
    finally:
        for name, function in ours.items():
            if kind.__dict__[name] is function:  # else somebody has replaced ours, and calls it
                setattr(kind, name, theirs[name])


def with_possible(coverage: Coverage, found: Found, rule: str) -> Coverage:
    """What was run, with the possible races that were found; without, where the strict rule was not asked for."""
    if rule != "strict" or not found.seen.modules:
        return coverage
    pairs = tuple(
        PossibleRace(
            f"possible {race.headline}",
            _line(race.later),
            _line(race.earlier),
            race.times,
            races.text_of(race, "possible data race"),
        )
        for race in found.possible
    )
    return replace(coverage, possible=PossibleRaces(pairs, found.possible_dropped))


def _line(access: Access) -> Location:
    if access.stack:
        line = access.stack[0]
        return Location(line.file or line.module, line.line, line.function, line.source)
    file, function, number = access.python or ("", "", 0)
    return Location(file, number, function)

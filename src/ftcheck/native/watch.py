"""Has ``_core`` look at the memory accesses of extensions while the bodies of a test run.

An extension is watched if ``ftcheck-cc`` has compiled it. There is nothing to be done for that: each one that is in the
process, or is imported later, is found. Where there is none, all this costs next to nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from ftcheck import _core
from ftcheck.native import races, strict, tsan_options
from ftcheck.native.races import Found
from ftcheck.native.seen import seen

DELAYS = 0.01
"""Probability of a delay before an access, besides the first few at each place, which always have one."""
LONGEST = 100_000
"""Nanoseconds that such a delay takes at most."""


def begin(path: Path | None = None) -> None:
    """Take in extensions from now on; where the platform has no means for that, nothing happens.

    :param path: a file for what is found, which outlives the process; None: it need not.
    :raises OSError: it cannot be written.
    """
    if hasattr(_core, "native_begin") and not tsan_options.present():  # else the real one sees what there is to be seen
        _core.native_begin(path)


@contextlib.contextmanager
def watched(seed: int, delays: float = DELAYS, rule: str = "overlap") -> Iterator[Callable[[], Found]]:
    """Look at all accesses within this context.

    :param seed: makes the delays of each thread the same again. (Where they hit is up to the timing.)
    :param delays: the probability of one.
    :param rule: what orders: ``"overlap"``, or ``"strict"`` besides; ``"off"``: do not look.
    :returns: a function that says what was found; to be called when the context is left.
    """
    there = rule != "off" and hasattr(_core, "native_watch")
    if not there or not _core.native_watch(delays, LONGEST, seed, rule == "strict"):
        yield Found
        return
    try:
        with strict.threads_followed() if rule == "strict" else contextlib.nullcontext():
            yield _found
    finally:
        _core.native_rest()


def _found() -> Found:
    state = _core.native_state()
    dropped = state["dropped_possible"]
    assert isinstance(dropped, int)
    return replace(races.read(_core.native_races()), seen=seen(state), possible_dropped=dropped)


_left_out = False


@contextlib.contextmanager
def left_out(rule: str) -> Iterator[None]:
    """Where the rule is ``"off"``, the explorer does not look at extensions within this context either."""
    global _left_out
    before, _left_out = _left_out, rule == "off"
    try:
        yield
    finally:
        _left_out = before


def is_left_out() -> bool:
    """Whether it is within such a context."""
    return _left_out


def left_by(path: Path) -> str:
    """What a process that is gone has found in its last test, for a person; empty: nothing, or there is no such file."""
    if not path.exists():
        return ""
    with contextlib.suppress(OSError, ValueError):
        found = races.read(_core.native_races_of(path))
        return races.text(found) if found.races else ""
    return ""

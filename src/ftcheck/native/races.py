"""Data races in extensions: two accesses to one place in memory, one of them a write, and nothing that orders them.

In C and C++ that is undefined behaviour (C11, 5.1.2.4), whatever comes of it; so each is a finding.
"""

from __future__ import annotations

import itertools
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ftcheck.native import symbols
from ftcheck.native.seen import Seen
from ftcheck.native.symbols import Line

_WRITES, _ATOMIC, _FREES = 1, 2, 4
"""``enum ftc_access`` of _core/native.h."""
_HOME = __file__.rpartition("native")[0]
_STACK = 6
"""Calls that are shown of each access."""

_KINDS = ("", "PyMutex", "critical section", "mutex", "lock for reading", "lock for writing", "spin lock", "thread lock", "")
"""``enum ftc_lock_kind``; the last one is a byte that was exchanged, and a PyMutex if its function says so."""

type _Lock = tuple[int, tuple[int, int], tuple[int, int]]
type _Side = tuple[int, tuple[tuple[int, int], ...], str, str, str, int, tuple[_Lock, ...]]
type _Row = tuple[int, int, int, tuple[int, int], _Side, _Side]


@dataclass(frozen=True, slots=True)
class Held:
    """A lock that a thread held.

    :param kind: ``"PyMutex"``, ``"critical section"``, ``"mutex"``, ...
    :param variable: the static variable that it is; empty: none that is known.
    :param taken: the line that took it, and those that it was inlined into; empty where nobody knows.
    """

    kind: str
    variable: str = ""
    taken: tuple[Line, ...] = ()

    def __str__(self) -> str:
        name = f"{self.kind} {self.variable}" if self.variable else self.kind
        return f"{name}, taken at {self.taken[0]}" if self.taken else name


@dataclass(frozen=True, slots=True)
class Access:
    """One of the two.

    :param what: ``"read"``, ``"write"``, ``"atomic read"``, ``"atomic write"``, or ``"free"``: the memory is given back.
    :param thread: as the round names it.
    :param stack: the line of the access, what it was inlined into; then who called that, as far as it is in the extension.
        Empty: it is in no extension that was built for this (the interpreter gives memory back).
    :param python: the line of Python code that called into the extension: file, function, line; None: there is none.
    :param locks: those that the thread held, the one that was taken last first; as far as they are known.
    """

    what: str
    thread: str
    stack: tuple[Line, ...]
    python: tuple[str, str, int] | None
    locks: tuple[Held, ...] = ()

    @property
    def where(self) -> str:
        """``file.c:18 (function)``."""
        if self.stack:
            return f"{self.stack[0]} ({self.stack[0].function})"
        return (
            f"{os.path.basename(self.python[0])}:{self.python[2]} ({self.python[1]})" if self.python else "the interpreter"
        )


@dataclass(frozen=True, slots=True)
class DataRace:
    """Two accesses that nothing orders.

    :param later: the one at which it was noticed.
    :param times: how often these two lines met like this.
    :param variable: the static variable; empty where it is none that is known.
    """

    later: Access
    earlier: Access
    times: int
    variable: str

    @property
    def headline(self) -> str:
        """One line: what, and where."""
        if "free" in (self.later.what, self.earlier.what):
            used, freed = (self.earlier, self.later) if self.later.what == "free" else (self.later, self.earlier)
            return f"use after free: {used.what} at {used.where}, freed at {freed.where}"
        where = f" of {self.variable}" if self.variable else ""
        return f"data race: {self.later.what}{where} at {self.later.where}, {self.earlier.what} at {self.earlier.where}"


@dataclass(frozen=True, slots=True)
class Found:
    """What was found while bodies ran.

    :param dropped: how many there was no room for.
    :param seen: what was looked at, and what was not.
    :param possible: those that only the strict rule has found; **possible_dropped**: how often there was no room for one.
    """

    races: tuple[DataRace, ...] = ()
    dropped: int = 0
    seen: Seen = field(default_factory=Seen)
    possible: tuple[DataRace, ...] = ()
    possible_dropped: int = 0

    @property
    def headline(self) -> str:
        """One line for all of them."""
        more = len(self.races) + self.dropped - 1
        return self.races[0].headline + (f" (and {more} more)" if more else "")


def read(seen: tuple[Sequence[str], Sequence[_Row], int]) -> Found:
    """What ``_core.native_races()`` gives, with source lines; pairs of the same two lines are one."""
    modules, rows, dropped = seen
    wanted: dict[int, set[int]] = defaultdict(set)
    for *_, later, earlier in rows:
        taken = [lock[2] for side in (later, earlier) for lock in side[6]]
        for module, offset in (*later[1], *earlier[1], *taken):
            if module >= 0:
                wanted[module].add(offset)
    known = {module: symbols.lines(modules[module], offsets) for module, offsets in wanted.items()}
    races: dict[object, DataRace] = {}
    possible: dict[object, DataRace] = {}
    for times, _, only_possible, (module, offset), later, earlier in rows:
        name = symbols.variable(modules[module], offset) if module >= 0 else ""
        race = DataRace(_access(later, known, modules), _access(earlier, known, modules), times, name)
        sides = sorted([(one.what, one.where) for one in (race.later, race.earlier)])
        into = possible if only_possible else races
        if (key := (*sides, name)) in into:
            race = replace(into[key], times=into[key].times + times)
        into[key] = race
    return Found(tuple(races.values()), dropped, possible=tuple(race for key, race in possible.items() if key not in races))


def _access(side: _Side, known: dict[int, dict[int, tuple[Line, ...]]], modules: Sequence[str]) -> Access:
    flags, places, thread, file, function, line, locks = side
    what = "free" if flags & _FREES else f"{'atomic ' if flags & _ATOMIC else ''}{'write' if flags & _WRITES else 'read'}"
    stack = [one for module, offset in places if module >= 0 for one in known[module][offset]]
    held = []
    for kind, (home, at), (module, offset) in locks:
        lines = known[module][offset] if module >= 0 else ()
        callers = tuple(itertools.dropwhile(lambda line: line.function.startswith(("_Py", "Py")), lines)) or lines
        name = _KINDS[kind] or ("PyMutex" if any("Mutex" in line.function for line in lines) else "")
        if name:
            held.append(Held(name, symbols.variable(modules[home], at) if home >= 0 else "", callers))
    told = line > 0 and not file.startswith(_HOME)  # else the body itself is the function of the extension
    return Access(what, thread, tuple(stack), (file, function, line) if told else None, tuple(held))


def text(found: Found) -> str:
    """All of them, for a person: both accesses with their source lines, and who called."""
    parts = [text_of(race) for race in found.races]
    if found.dropped:
        parts.append(f"{found.dropped:,} more were seen when there was no room for them")
    return "\n\n".join(parts)


def text_of(race: DataRace, what: str = "data race") -> str:
    """One of them.

    :param what: what it is called.
    """
    times = "once" if race.times == 1 else f"{race.times:,} times"
    where = f" of {race.variable}" if race.variable else ""
    head = f"{what}{where}, seen {times}:"
    return "\n".join([head, *_side(race.later, race.earlier), *_side(race.earlier, race.later, " before")])


def _side(one: Access, other: Access, when: str = "") -> list[str]:
    rows = [f"  {one.thread}: {one.what}{when}"]
    for frame in one.stack[:_STACK]:
        source = f"    {frame.source}" if frame.source else ""
        rows.append(f"    {f'{frame} in {frame.function}':<40}{source}".rstrip())
    if len(one.stack) > _STACK:
        rows.append(f"    ... {len(one.stack) - _STACK} more calls")
    if one.python is not None:
        file, function, line = one.python
        rows.append(f"    {os.path.basename(file)}:{line} in {function}  (Python)")
    rows += [f"    holds {lock}" for lock in one.locks]
    if other.locks and not one.locks:
        rows.append("    holds no lock that is known")
    return rows

"""Extensions in a run: their memory accesses are scheduling points, and a data race between two of them is a failure.

What an extension has to be built with is said in :mod:`ftcheck.native`. Where there is none, a run costs one call more.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import sysconfig
from collections.abc import Sequence
from typing import Any

from ftcheck import _core, interpreter
from ftcheck.explore.expressions import Spot
from ftcheck.explore.log import LOCKING, Operation
from ftcheck.locations import Location
from ftcheck.native import races, symbols, watch


class DataRaceError(Exception):
    """Two threads access memory in an extension, and nothing orders them; the message says where."""


class DataRaces:
    """Those of one run; few runs are looked at, so their source lines are looked up when somebody asks.

    :param seen: what :func:`ftcheck._core.native_races` says.
    """

    def __init__(self, seen: Any) -> None:
        self._seen = seen

    def found(self) -> races.Found:
        """With their source lines."""
        return races.read(self._seen)


def how_many() -> int:
    """The extensions of this process that were built for this."""
    modules = _core.native_state()["modules"] if _HAS_IT and not watch.is_left_out() else []
    assert isinstance(modules, list)
    return len(modules)


def begin() -> bool:
    """Called when a run begins: whether there is an extension whose accesses are points now.

    With the GIL on, nobody else can run while an extension does.
    """
    return _HAS_IT and not watch.is_left_out() and not interpreter.gil_enabled() and _core.native_explore()


def end() -> tuple[int, DataRaces | None]:
    """Called when it has ended, if there is one: how many points there were, and the races."""
    points = _core.native_points()
    _core.native_rest()
    seen = _core.native_races()
    return points, DataRaces(seen) if seen[1] else None


_HAS_IT = hasattr(_core, "native_explore")


def place(offset: int) -> tuple[str, int, str] | None:
    """Of an operation in the log that has no code: the path of the extension, the instruction's offset in it, and the
    function that is called there; empty: it is an access to memory.
    """
    return _core.native_place(offset) if _HAS_IT and offset < -1 else None


def stuck() -> list[tuple[int, int, int]]:
    """The locks of C code that were held when the last run was given up: who, address, and offset of where it was taken."""
    return _core.native_stuck() if _HAS_IT else []


@functools.lru_cache(maxsize=256)
def build_of(path: str) -> str:
    """A digest of an extension as it was built: offsets mean something else in another one. Empty where it is gone."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


class NativeReader:
    """Source lines for operations that stand in extensions.

    :param operations: all that will be asked for: they are looked up together.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._places = {one.offset: at for one in operations if one.code is None and (at := place(one.offset)) is not None}
        wanted: dict[str, set[int]] = {}
        for path, offset, _ in self._places.values():
            wanted.setdefault(path, set()).add(offset)
        self._lines = {path: symbols.lines(path, offsets) for path, offsets in wanted.items()}
        self._locks = {one.object & ADDRESS for one in operations if one.code is None and one.kind in LOCKING}
        self._names: dict[tuple[int, int], str] = {}
        self._spots: dict[tuple[int, int, int, int], Spot] = {}
        self._numbers = {sort: itertools.count(1) for sort in (_MEMORY, _LOCK)}

    def spot(self, one: Operation) -> Spot | None:
        """The line of an operation, and what it accesses; None: it stands in no extension."""
        at = self._places.get(one.offset) if one.code is None else None
        if at is None:
            return None
        asked = (one.offset, one.object, one.also_key, one.kind)
        if asked not in self._spots:
            self._spots[asked] = self._read(one, at)
        return self._spots[asked]

    def _read(self, one: Operation, at: tuple[str, int, str]) -> Spot:
        chain = self._lines[at[0]][at[1]]
        line = next((line for line in chain if not line.file.startswith(_HEADERS)), chain[0])  # who has inlined it
        location = Location(line.file or line.module, line.line, line.function, line.source)
        if at[2] and one.kind not in LOCKING:
            return Spot(location, text=f"{at[2]}()")
        return Spot(location, owner=self._name(one))

    def _name(self, one: Operation) -> str:
        """What it accesses: a static variable, or one of the places in memory, which are numbered."""
        exact = one.object if one.kind in LOCKING else one.also_key
        what = (one.object >> _BITS, exact & ADDRESS)
        if what not in self._names:
            sort = _LOCK if what[1] in self._locks else _MEMORY
            self._names[what] = variable_at(what[1]) or f"{sort}{next(self._numbers[sort])}"
        return self._names[what]


_HEADERS = sysconfig.get_path("include") + os.sep
_MEMORY, _LOCK = "memory#", "lock#"
_BITS = 48
ADDRESS = (1 << _BITS) - 1
"""What is above is the number of the object that has this address (``_core/reborn.c``)."""


def variable_at(address: int) -> str:
    """The static variable of an extension in which this address lies; empty: none."""
    module = _core.native_module(address)
    return "" if module is None else symbols.variable(*module)

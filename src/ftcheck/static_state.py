"""Static state of extension modules: which test writes which static variable, as every room of ftcheck says it.

Like :mod:`ftcheck.verdicts` this is the ground floor: frozen values made of plain data, which survive the way from a worker
process. It is information and no verdict. A value of :class:`TestWrites` is what one run of one test gave, in one process;
:class:`StaticState` is what all of them come to.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

ALL = "all"
"""In place of the name of a module: every one that is neither the standard library's nor what tests are run with."""

How = Literal["once", "steadily", "unknown"]
"""``once``: it was written, and what ran after that in the same process did not write it again. ``steadily``: it was.
``unknown``: nothing ran after that."""


@dataclass(frozen=True, slots=True)
class Locking:
    """What the symbols of a shared object say about locks.

    :param locks: kinds of locks that it takes, such as ``"PyMutex"``.
    :param once: means for what is done once, such as ``"pthread_once"``: they order the first write and no other one.
    :param blind: why there may be locks that are not seen; empty: no such reason is known. (Atomic operations, and locks
        that are made of them, never show.)
    """

    locks: tuple[str, ...] = ()
    once: tuple[str, ...] = ()
    blind: str = ""


@dataclass(frozen=True, slots=True)
class Image:
    """A shared object whose static memory is watched.

    :param file: its path.
    :param modules: the chosen modules that it is, or that it comes with.
    :param library: it is a library beside them, such as those in a wheel's ``*.libs``.
    :param sections: name and size, in bytes, of what is watched of it.
    :param imported_by: the test in which it was loaded; empty: it was there before.
    :param problem: why it cannot be watched; empty: it can.
    """

    file: str
    modules: tuple[str, ...]
    library: bool
    sections: tuple[tuple[str, int], ...]
    locking: Locking
    imported_by: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A static variable; or, where no symbol names it, memory that was changed together.

    :param file: of the shared object.
    :param offset: into the section, in bytes.
    :param name: empty where nobody knows.
    :param note: what is known of it besides; for example that the interpreter writes it in the name of the module.
    """

    file: str
    section: str
    offset: int
    size: int
    name: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Write:
    """That a test has changed a static variable.

    :param when: in which parts of the test. These are the rounds of its bodies, as far as they were told apart, from 0.
    :param at: the first byte that was changed, from the beginning of the variable.
    :param old: the bytes from there before the test changed them, and **new**: after that; hexadecimal digits in the order
        in which the bytes stand in memory, at most :data:`SHOWN` of them.
    :param changed: how many bytes there are from the first to the last that were changed.
    """

    place: Place
    when: tuple[int, ...]
    at: int
    changed: int
    old: str
    new: str


SHOWN = 16
"""Bytes of a value that are kept."""


@dataclass(frozen=True, slots=True)
class TestWrites:
    """What one test wrote in one process.

    :param process: any name of it that is its own.
    :param number: of the test there, in the order in which they ran.
    :param parts: that were told apart.
    :param images: those that were not there when an earlier test ended.
    :param left_out: (file, what, place) of what only the interpreter writes.
    """

    __test__ = False  # no test, whatever pytest makes of its name

    test: str
    process: str
    number: int
    parts: int
    images: tuple[Image, ...] = ()
    writes: tuple[Write, ...] = ()
    left_out: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Static:
    """A static variable that tests have written.

    :param tests: that wrote it, in the order in which they did; at most :data:`TESTS` of them.
    :param count: of all these tests.
    :param later: with ``once``: how many tests ran after that in the same process.
    :param rounds: with ``once``: it was written in a round of a test, and not in its rounds after that; with ``steadily``:
        it was written in several rounds of a test.
    :param processes: in which it was written.
    """

    place: Place
    how: How
    tests: tuple[str, ...]
    count: int
    at: int
    changed: int
    old: str
    new: str
    later: int = 0
    rounds: bool = False
    processes: int = 1


TESTS = 20
"""Tests that are named of each variable."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What only the interpreter writes in a shared object.

    :param number: of places.
    """

    file: str
    what: str
    number: int


@dataclass(frozen=True, slots=True)
class StaticState:
    """All of a run.

    :param chosen: names of modules and patterns, as they were given.
    :param unmatched: those of them for which no extension module was loaded.
    :param lost: tests of which nothing is known: their process has ended.
    """

    chosen: tuple[str, ...]
    tests: int
    images: tuple[Image, ...] = ()
    statics: tuple[Static, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    unmatched: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def matches(one: str, modules: Iterable[str]) -> bool:
    """Whether a name or pattern has chosen any of these modules."""
    return any(one == ALL or fnmatch.fnmatchcase(module, one) for module in modules)


def writes_from_plain(data: Any) -> TestWrites:
    """The value that :func:`ftcheck.verdicts.to_plain` has made plain, on the other side of xdist's channel."""
    images = tuple(
        Image(**{**one, "modules": tuple(one["modules"]), "sections": tuple(map(_pair, one["sections"])),
                 "locking": Locking(*map(_frozen, one["locking"].values()))})
        for one in data["images"]
    )  # fmt: skip
    writes = tuple(Write(**{**one, "place": Place(**one["place"]), "when": tuple(one["when"])}) for one in data["writes"])
    left_out = tuple((file, what, place) for file, what, place in data["left_out"])
    return TestWrites(**{**data, "images": images, "writes": writes, "left_out": left_out})


def _pair(data: Any) -> tuple[str, int]:
    name, size = data
    return name, size


def _frozen(data: Any) -> Any:
    return tuple(data) if isinstance(data, (list, tuple)) else data

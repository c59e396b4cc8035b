"""The watch over static state: which test changes which static variable of an extension module.

No module has to be built anew for it. The writable sections of a module's file say where its static variables are; a copy
of that memory is compared with the memory itself whenever a test, or one of its rounds in threads, is over
(``_core/statics.c``). What differs was written meanwhile, by whichever thread. A write that leaves the bytes as they were is
not seen, nor is one that is undone before the next look.

What a module writes while it is imported is no test's: its copy is taken when the import is over, wherever that happens.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.machinery import ExtensionFileLoader
from typing import Any

from ftcheck import _core, locking
from ftcheck.elf import Section
from ftcheck.native import chosen, images, noise, symbols
from ftcheck.native.images import Loaded
from ftcheck.native.noise import Noise, Piece
from ftcheck.static_state import SHOWN, Image, Locking, Place, TestWrites, Write

SUPPORTED = hasattr(_core, "static_changes")
"""Only on Linux is it known where things are."""


@dataclass(slots=True)
class _Watched:
    """A section in memory, and the copy of it."""

    image: Loaded
    section: Section
    copy: bytearray

    @property
    def begin(self) -> int:
        return self.image.base + self.section.address

    def variable(self, address: int) -> tuple[int, int] | None:
        """Address and size of the variable that has this byte, by the symbols."""
        at = address - self.image.base
        known = () if self.image.file is None else self.image.file.variables_in(at, at + 1)
        return next(((one.address + self.image.base, one.size) for one in known), None)


@dataclass(frozen=True, slots=True)
class _Change:
    """Bytes of a section that were found changed.

    :param part: of the test.
    :param at: the address, in the file's numbering.
    """

    where: _Watched
    part: int
    at: int
    old: bytes
    new: bytes


@dataclass(slots=True)
class _Test:
    name: str
    changes: list[_Change] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    part: int = 0


class StaticWatch:
    """Watches the static memory of chosen modules in this process.

    :param names: names and patterns of the modules (:mod:`ftcheck.native.chosen`).
    :param process: a name of this process that is its own.
    :param loaded: in place of :func:`ftcheck.native.chosen.loaded`: which of them are in this process, where that is not
        known to this interpreter.
    """

    def __init__(
        self, names: Sequence[str], process: str, loaded: Callable[[Sequence[str], object], dict[str, str]] | None = None
    ) -> None:
        self._names, self._process, self._loaded = names, process, loaded
        self._lock = threading.RLock()
        self._known: dict[str, tuple[str, ...]] = {}
        self._seen_modules: frozenset[str] = frozenset()
        self._modules = 0
        self._sections: list[_Watched] = []
        self._test = _Test("")
        self._number = 0
        self._original: Callable[..., Any] | None = None

    # --- the session ----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Take copies of what is there, and do so for each module that is imported from now on."""
        self._take_in("")
        self._original = original = ExtensionFileLoader.exec_module

        def exec_module(loader: ExtensionFileLoader, module: Any) -> Any:
            result = original(loader, module)  # where that fails there will be no such module
            self._take_in(self._test.name, module)
            return result

        ExtensionFileLoader.exec_module = exec_module  # type: ignore[method-assign,assignment]

    def end(self) -> None:
        """Watch no more."""
        if self._original is not None:
            ExtensionFileLoader.exec_module = self._original  # type: ignore[method-assign]
            self._original = None

    def _take_in(self, test: str, finished: object = None) -> None:
        """Copies of what has come since the last time.

        :param test: the one that runs.
        :param finished: a module whose import is all but over; of the others that are being imported, it is not.
        """
        with self._lock:
            if finished is None and self._loaded is None and len(sys.modules) == self._modules:
                return  # an import in between has told us itself
            self._modules = len(sys.modules)
            wanted = (self._loaded or chosen.loaded)(self._names, finished)
            if wanted.keys() <= self._seen_modules:
                return
            self._seen_modules = frozenset(wanted)
            for image in images.of_modules(wanted, images.mapped()):
                if image.path not in self._known:
                    self._known[image.path] = image.modules
                    self._test.images.append(self._watch(image, test))

    def _watch(self, image: Loaded, test: str) -> Image:
        problem = image.problem
        for section in image.sections:
            copy = _core.static_copy(image.base + section.address, section.size)
            if copy is None:
                problem = f"{section.name} is not in memory"
            else:
                self._sections.append(_Watched(image, section, copy))
        sections = tuple((one.name, one.size) for one in image.sections)
        locks = Locking() if image.file is None else locking.of(image.file)
        return Image(image.path, image.modules, image.library, sections, locks, test, problem)

    # --- a test ---------------------------------------------------------------------------------------------------

    def start(self, test: str) -> None:
        """A test begins. What has changed since the one before is nobody's."""
        with self._lock:
            self._take_in("")
            for one in self._sections:
                _core.static_changes(one.begin, one.copy)
            self._test = _Test(test, images=self._test.images)

    def next_part(self) -> None:
        """A part of the test is over."""
        with self._lock:
            self._look()
            self._test.part += 1

    def finish(self) -> TestWrites:
        """The test is over: what it has written. What comes now is its next run, if it has one."""
        with self._lock:
            self._look()
            test, number = self._test, self._number
            self._number += 1
            self._test = _Test(test.name)
            writes, left_out = _told(test.changes)
        return TestWrites(test.name, self._process, number, test.part + 1, tuple(test.images), writes, left_out)

    def _look(self) -> None:
        for one in list(self._sections):
            changes = _core.static_changes(one.begin, one.copy)
            if changes is None:
                self._sections.remove(one)
                gone = Image(one.image.path, one.image.modules, one.image.library, (), Locking(), problem="it was unloaded")
                self._test.images.append(gone)
            for offset, old, new in changes or ():
                self._test.changes.append(_Change(one, self._test.part, one.section.address + offset, old, new))


# --- what the changes come to -------------------------------------------------------------------------------------


def _told(changes: Sequence[_Change]) -> tuple[tuple[Write, ...], tuple[tuple[str, str, int], ...]]:
    """Changed bytes as variables, and what only the interpreter writes."""
    if not changes:
        return (), ()
    by_place: dict[Place, list[_Change]] = {}
    left_out: dict[tuple[str, str, int], None] = {}
    nameless: dict[tuple[str, int], list[_Change]] = defaultdict(list)
    objects = Noise()
    ready: set[int] = set()
    pieces: list[tuple[_Change, Piece]] = []
    for change in changes:
        for piece, one in _pieces(change, objects):
            if objects.made_ready(piece, one.old, one.new):
                ready.add(piece.owner)
            pieces.append((one, piece))
    for one, piece in pieces:
        if piece.owner and piece.owner in ready:
            position = _position(one, piece.owner - one.where.image.base, objects.size_of_types)
            by_place.setdefault(Place(*position, _symbol(one, piece), noise.READY), []).append(one)
        elif piece.left_out:
            left_out[(one.where.image.path, piece.left_out, piece.owner - one.where.image.base)] = None
        else:
            for place, part in _variables(one, left_out):
                if place is None:
                    nameless[(one.where.image.path, one.where.section.address)].append(part)
                else:
                    by_place.setdefault(place, []).append(part)
    writes = [_write(place, parts, _start(place, parts)) for place, parts in by_place.items()]
    for parts in nameless.values():
        writes += _runs(parts)
    return _demangled(writes), tuple(left_out)


def _pieces(change: _Change, objects: Noise) -> Iterator[tuple[Piece, _Change]]:
    base, begin = change.where.image.base, change.at
    for piece in objects.pieces(base + begin, base + begin + len(change.old), change.where):
        yield piece, _part(change, piece.begin - base, piece.end - base)


def _part(change: _Change, begin: int, end: int) -> _Change:
    cut = slice(begin - change.at, end - change.at)
    return _Change(change.where, change.part, begin, change.old[cut], change.new[cut])


def _position(change: _Change, address: int, size: int) -> tuple[str, str, int, int]:
    section = change.where.section
    return change.where.image.path, section.name, address - section.address, size


def _symbol(change: _Change, piece: Piece) -> str:
    file, address = change.where.image.file, piece.owner - change.where.image.base
    return "" if file is None else next((one.name for one in file.variables_in(address, address + 1)), "")


def _variables(change: _Change, left_out: dict[tuple[str, str, int], None]) -> Iterator[tuple[Place | None, _Change]]:
    """The variables that changed bytes are in; None for bytes that are in none that is known."""
    file, at, end = change.where.image.file, change.at, change.at + len(change.old)
    for one in file.variables_in(at, end) if file is not None else ():
        if at < one.address:
            yield from _if_changed(None, _part(change, at, one.address))
        at = min(end, one.address + one.size)
        part = _part(change, max(change.at, one.address), at)
        writer, note = noise.of_symbol(one.name)
        if writer:
            left_out[(change.where.image.path, writer, one.address)] = None
        else:
            yield from _if_changed(Place(*_position(change, one.address, one.size), one.name, note), part)
    if at < end:
        yield from _if_changed(None, _part(change, at, end))


def _if_changed(place: Place | None, part: _Change) -> Iterator[tuple[Place | None, _Change]]:
    if part.old != part.new:
        yield place, part


def _start(place: Place, parts: Sequence[_Change]) -> int:
    return parts[0].where.section.address + place.offset


def _write(place: Place, parts: Sequence[_Change], start: int) -> Write:
    """All changes of one variable in one test."""
    begin = min(one.at for one in parts)
    end = max(one.at + len(one.old) for one in parts)
    when = tuple(sorted({one.part for one in parts}))
    return Write(place, when, begin - start, end - begin, _first(parts, begin), _last(parts, begin))


def _first(parts: Sequence[_Change], at: int) -> str:
    return next((one.old[:SHOWN].hex() for one in parts if one.at == at), "")


def _last(parts: Sequence[_Change], at: int) -> str:
    return next((one.new[:SHOWN].hex() for one in reversed(parts) if one.at == at), "")


def _runs(parts: Sequence[_Change]) -> Iterator[Write]:
    """Bytes that no symbol names: what lies together and was changed in the same parts of the test is taken for one."""
    edges = sorted({edge for one in parts for edge in (one.at, one.at + len(one.old))})
    runs: list[tuple[int, int, list[_Change]]] = []
    for begin, end in itertools.pairwise(edges):
        inside = [_part(one, begin, end) for one in parts if one.at <= begin and end <= one.at + len(one.old)]
        inside = [one for one in inside if one.old != one.new]
        if inside:
            runs.append((begin, end, inside))
    for begin, end, inside in runs:
        yield _write(Place(*_position(inside[0], begin, end - begin)), inside, begin)


def _demangled(writes: Sequence[Write]) -> tuple[Write, ...]:
    readable = symbols.readable([one.place.name for one in writes if one.place.name])
    return tuple(replace(one, place=replace(one.place, name=readable.get(one.place.name, one.place.name))) for one in writes)


def process_name() -> str:
    """A name of this process that no other one of the run has."""
    return f"{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{os.getpid()}"

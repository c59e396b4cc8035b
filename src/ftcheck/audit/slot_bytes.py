"""What a multi-phase module declares, read from the bytes of its file; nothing of it is run.

A multi-phase module (PEP 489) has a static ``PyModuleDef``, and that points to an array of ``PyModuleDef_Slot``: pairs of a
number and a pointer-sized value, up to the pair ``{0, NULL}``. Two of the numbers are declarations, with small integers as
their values (CPython ``Include/moduleobject.h``): 3 is ``Py_mod_multiple_interpreters`` and 4 is ``Py_mod_gil``.

Two ways lead to the array:

- **from the name.** ``PyInit_NAME`` is exported; the string ``NAME`` is somewhere in the file; a relocation makes a word
point
  to it, and that word is ``m_name``. Four words on, ``m_slots`` points to the array. All is checked on the way: a word that
  points somewhere has a relocation. This is as exact as a reading can be, and finds that there is *no* such slot, too.
- **from the array.** Where the name leads nowhere (a definition that is filled in when the module is loaded), every aligned
  pair ``{4, 0}`` or ``{4, 1}`` that stands in a well-formed array is a candidate. If all candidates agree, that is the
  answer.

Some modules make the array while they are loaded (pybind11 3 does). Then nothing is in the file, and nothing is said.

Words, alignment and field order are those of every 64-bit platform; the distance from ``m_name`` to ``m_slots`` is the
same in builds with the GIL and without, since they differ before it. The byte order is the file's.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ftcheck.elf import Elf

CREATE, EXEC, MULTIPLE_INTERPRETERS, GIL = 1, 2, 3, 4
_POINTERS = (CREATE, EXEC)
_HIGHEST = {MULTIPLE_INTERPRETERS: 2, GIL: 1}
_NAME_TO_SLOTS = 32
"""Bytes from ``m_name`` to ``m_slots``: m_name, m_doc, m_size, m_methods, m_slots."""
_MOST_SLOTS, _MOST_PLACES = 32, 4096
_PACKAGE = re.compile(rb"[A-Za-z_][A-Za-z0-9_.]*\.\Z")
_WRITABLE, _EXECUTABLE = 2, 1


@dataclass(frozen=True, slots=True)
class Slots:
    """The declarations of one module.

    :param gil: the value of ``Py_mod_gil``: 1 is ``Py_MOD_GIL_NOT_USED``, 0 ``Py_MOD_GIL_USED``; None: there is no such
    slot,
        which means the same as 0.
    :param interpreters: the value of ``Py_mod_multiple_interpreters``: 0 not supported, 1 supported (the default of a
        multi-phase module), 2 also with a GIL of its own each; None: there is no such slot.
    """

    gil: int | None
    interpreters: int | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What the bytes say.

    :param slots: None: they decide nothing, and **why** says why.
    :param way: ``"definition"``: from the name; ``"array"``: from the only arrays that there are.
    """

    slots: Slots | None
    way: str = ""
    why: str = ""


def read(file: Elf, name: str) -> Reading:
    """The slots of one module of a file.

    :param name: what stands behind ``PyInit_``.
    """
    with open(file.path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        memory = _Memory(file, data)
        try:
            found = set(_by_name(memory, name))
            if len(found) == 1:
                return Reading(found.pop(), "definition")
            if found:
                return Reading(None, why=f"there are several definitions of the name {name} in the file, which differ")
            arrays = set(_arrays(memory))
        finally:
            memory.close()
    if len(arrays) == 1:
        return Reading(arrays.pop(), "array")
    if arrays:
        return Reading(None, why="there are several arrays of slots in the file, which differ")
    return Reading(None, why="there is no array of slots in the file: the module makes it while it is loaded")


def _by_name(memory: _Memory, name: str) -> Iterator[Slots]:
    for text in memory.strings_that_end_with(name.encode()):
        for place in memory.words_that_point_to(text):
            target = memory.pointer(place + _NAME_TO_SLOTS)
            if target is not None and (entries := _entries(memory, target, 1)):
                yield _declared(entries)


def _arrays(memory: _Memory) -> Iterator[Slots]:
    for value in (0, 1):
        for address in memory.aligned(struct.pack(memory.order + "i4xQ", GIL, value)):
            begin = address
            while address - begin < _MOST_SLOTS * 16 and _entry(memory, begin - 16) is not None:
                begin -= 16
            if entries := _entries(memory, begin, 2):
                yield _declared(entries)


def _declared(entries: Sequence[tuple[int, int | None]]) -> Slots:
    values = dict(entries)
    return Slots(values.get(GIL), values.get(MULTIPLE_INTERPRETERS))


def _entries(memory: _Memory, address: int, enough: int) -> list[tuple[int, int | None]]:
    """The array that begins there; empty: none does.

    :param enough: slots without any function: two small numbers are no proof by themselves.
    """
    found: list[tuple[int, int | None]] = []
    for number in range(_MOST_SLOTS):
        at = address + 16 * number
        if memory.word(at) == 0 and memory.word(at + 8) == 0 and memory.pointer(at + 8) is None:
            return found if len(found) >= enough or any(kind in _POINTERS for kind, _ in found) else []
        entry = _entry(memory, at)
        if entry is None:
            return []
        found.append(entry)
    return []


def _entry(memory: _Memory, address: int) -> tuple[int, int | None] | None:
    """One pair: a number that there is, and a value that fits it; None: it is no such pair."""
    number, value = memory.number(address), memory.word(address + 8)
    if number is None or value is None:
        return None
    target = memory.pointer(address + 8)
    if number in _POINTERS:
        return (number, None) if target is not None else None
    if number in _HIGHEST and target is None and value <= _HIGHEST[number]:
        return number, value
    return None


def _after_dots(text: str) -> list[int]:
    return [n + 1 for n, letter in enumerate(text) if letter == "."]


class _Memory:
    """The file as it will be in memory, with the words that the dynamic linker is going to fill in.

    Relocation tables are searched for a word rather than unpacked: a large library has a hundred thousand entries, and three
    of them matter.
    """

    def __init__(self, file: Elf, data: mmap.mmap) -> None:
        self.order = file.order
        self._segments, self._data = file.segments, data
        self._word = struct.Struct(file.order + "Q")
        values = file.dynamic.values
        self._symbols = values.get("DT_SYMTAB", 0)
        self._rela = self._table(values.get("DT_RELA", 0), values.get("DT_RELASZ", 0))
        self._relative = self._packed(values.get("DT_RELR", 0), values.get("DT_RELRSZ", 0))
        self._exports = file.exports

    def close(self) -> None:
        """Let go of the file."""
        self._rela = b""

    def _table(self, address: int, size: int) -> bytes:
        offset = self._offset(address)
        return b"" if offset is None else self._data[offset : offset + size]

    def _packed(self, address: int, size: int) -> set[int]:
        """``DT_RELR``: an even word is an address; an odd one is a bitmap of the 63 words that follow it."""
        found: set[int] = set()
        place = 0
        table = self._table(address, size)
        for (word,) in self._word.iter_unpack(table[: len(table) // 8 * 8]):
            if word & 1:
                found.update(place + 8 * bit for bit in range(63) if word >> (bit + 1) & 1)
                place += 63 * 8
            else:
                found.add(word)
                place = word + 8
        return found

    def _offset(self, address: int) -> int | None:
        for one in self._segments:
            if one.address <= address < one.address + one.size and one.offset + one.size <= len(self._data):
                return one.offset + address - one.address
        return None

    def word(self, address: int) -> int | None:
        """The word of the file at an address; None: the file has none there."""
        offset = self._offset(address)
        if offset is None or offset + 8 > len(self._data):
            return None
        value: int = self._word.unpack_from(self._data, offset)[0]
        return value

    def number(self, address: int) -> int | None:
        """The C ``int`` there, behind which the rest of the word is empty."""
        word = self.word(address)
        if word is None:
            return None
        low, high = (word & 0xFFFFFFFF, word >> 32) if self.order == "<" else (word >> 32, word & 0xFFFFFFFF)
        return low if not high else None

    def pointer(self, address: int) -> int | None:
        """Where the word at this address will point to; 0: to what another file defines; None: it is no pointer."""
        if address in self._relative:
            return self.word(address)
        at = self._find(self._rela, self._word.pack(address), 0)
        if at is None:
            return None
        symbol, addend = struct.unpack_from(self.order + "I", self._rela, at + (12 if self.order == "<" else 8))[0], 0
        addend = self._word.unpack_from(self._rela, at + 16)[0]
        target: int = (self._value(symbol) + addend) % 2**64 if symbol else addend
        return target

    def _value(self, symbol: int) -> int:
        return self.word(self._symbols + 24 * symbol + 8) or 0

    def words_that_point_to(self, target: int) -> Iterator[int]:
        """Addresses of words that will have this value."""
        start = 0
        while (at := self._find(self._rela, self._word.pack(target), 16, start)) is not None:
            yield self._word.unpack_from(self._rela, at)[0]
            start = at + 24
        if self._relative:
            packed = self._word.pack(target)
            yield from (address for address in self.aligned(packed) if address in self._relative)

    @staticmethod
    def _find(table: bytes, word: bytes, place: int, start: int = 0) -> int | None:
        """The next entry of 24 bytes that has this word at that place."""
        at = start + place
        while (at := table.find(word, at)) >= 0:
            if at % 24 == place:
                return at - place
            at += 1
        return None

    def strings_that_end_with(self, text: bytes) -> Iterator[int]:
        """Addresses where a C string begins that is this, or ends with a dot and this.

        Linkers merge strings with the ends of others, so what stands before the first letter says nothing.
        """
        for address in self._places(text + b"\0", 1):
            yield address
            offset = self._offset(address)
            if offset is None:  # segments overlap: it is damaged
                continue
            package = _PACKAGE.search(self._data[max(0, offset - 200) : offset])
            if package is not None:
                before = package[0].decode()
                yield from (address - len(before) + n for n in (0, *_after_dots(before[:-1])))

    def aligned(self, content: bytes) -> Iterator[int]:
        """Addresses of words that begin with this."""
        return self._places(content, 8)

    def _places(self, content: bytes, alignment: int) -> Iterator[int]:
        left = _MOST_PLACES
        for one in self._segments:
            if one.flags & _EXECUTABLE:
                continue
            at, end = one.offset, min(one.offset + one.size, len(self._data))
            while left and (at := self._data.find(content, at, end)) >= 0:
                address = one.address + at - one.offset
                if address % alignment == 0:
                    left -= 1
                    yield address
                at += 1

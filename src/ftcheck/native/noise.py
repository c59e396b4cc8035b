"""What the interpreter itself writes into static memory of a module.

A static type is memory of the module, and the interpreter keeps in it a version tag, a cache, the list of subclasses, weak
references; any use of the type may change these, and the interpreter knows how to do that in several threads. The same goes
for the header of every static object (reference counts, the lock of a critical section) and for module definitions. A
module that is written without any static variable would seem to have some, if these were not told apart.

They are recognised by content, so a stripped file makes no difference. Which addresses are types, the interpreter knows:
all that are ready are below ``object`` in the tree of subclasses. Any other object is recognised by its header, which
points to one of these types.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from ftcheck import _core, interpreter

TYPE = "version tags, caches and lists of subclasses in static types"
HEADER = "headers of static objects (reference counts, locks)"
MODULE = "definitions of modules"
COVERAGE = "counters of coverage measuring"
READY = "a type is made ready (PyType_Ready)"
PARSER = "an argument parser, which the interpreter sets up at the first call"
_CACHES = ("tp_flags", "tp_cache", "tp_subclasses", "tp_weaklist", "tp_version_tag", "tp_watched")
_WORD = 8
_WITH_GIL = struct.Struct("<IHH")  # ob_refcnt, ob_overflow, ob_flags
_WITHOUT_GIL = struct.Struct("<QHBBIQ")  # ob_tid, ob_flags, ob_mutex, ob_gc_bits, ob_ref_local, ob_ref_shared
_MOST_FLAGS, _MOST_MUTEX, _IMMORTAL, _MERGED = 16, 3, 0xFFFF_FFFF, 3
_LOWEST_THREAD = 1 << 32
"""The number of a thread is an address that the kernel has chosen."""
_MOST_REFERENCES = 1 << 20
"""More are taken for a pointer: the lowest that there are, in an interpreter at a fixed address, are from 4 MiB up."""


class Memory(Protocol):
    """A section, as it was at the last look.

    :ivar begin: the address where it begins.
    :ivar copy: all of it.
    """

    @property
    def begin(self) -> int: ...

    @property
    def copy(self) -> bytearray: ...

    def variable(self, address: int) -> tuple[int, int] | None:
        """Address and size of the variable that has this byte; None: none that is known."""
        ...


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a range of addresses, and what writes there.

    :param left_out: the interpreter does, of its own accord; empty: the module does.
    :param owner: the address where the object begins of which that is a part; 0: of none that is known.
    :param note: what is known of it besides.
    """

    begin: int
    end: int
    left_out: str = ""
    owner: int = 0
    note: str = ""


class Noise:
    """The objects of the interpreter at this moment.

    To be made anew for each look: types come and go.
    """

    def __init__(self) -> None:
        layouts = _core.static_layouts()
        self._ob_type, self._object = layouts["ob_type"], layouts["object"]
        self._type, self._module = layouts["type"], layouts["module"]
        self._fields = layouts["fields"]
        self._types = {id(one): one for one in all_types()}
        self._by_section: dict[int, list[int]] = {}

    @property
    def size_of_types(self) -> int:
        """Bytes that a static type has."""
        return self._type

    def pieces(self, begin: int, end: int, memory: Memory) -> Iterator[Piece]:
        """A changed range of memory, word by word where it lies in an object."""
        at = begin
        for owner, span, kind in self._objects(begin, end, memory):
            first, last = max(at, owner), min(end, owner + span)
            if first >= last:
                continue
            if at < first:
                yield Piece(at, first)
            for word in range(first, last, _WORD):
                yield Piece(word, min(end, word + _WORD), self._why(word - owner, kind), owner)
            at = last
        if at < end:
            yield Piece(at, end)

    def made_ready(self, piece: Piece, old: bytes, new: bytes) -> bool:
        """Whether a change of a type says that it was made ready: it has got its dict.

        :param old: the bytes of the piece before, and **new**: after that.
        """
        at_dict = piece.owner in self._types and piece.begin - piece.owner == self._fields["tp_dict"]
        return at_dict and not any(old) and any(new)

    def _why(self, field: int, kind: str) -> str:
        """What writes this word of an object, if it is not the module."""
        if field < self._ob_type:
            return HEADER
        if kind == "type":
            return TYPE if any(field == self._fields[name] // _WORD * _WORD for name in _CACHES) else ""
        return MODULE if kind == "module" and field < self._object + 3 * _WORD else ""  # PyModuleDef_Base

    def _objects(self, begin: int, end: int, memory: Memory) -> list[tuple[int, int, str]]:
        """(address, size, kind) of objects that have a word in this range."""
        found = [(one, self._type, "type") for one in self._types_in(memory) if begin - self._type < one < end]
        first = max(memory.begin, begin - self._module)
        last = min(memory.begin + len(memory.copy), end + self._ob_type + _WORD)
        words = memoryview(memory.copy)[first - memory.begin : first - memory.begin + (last - first) // _WORD * _WORD]
        for number, word in enumerate(words.cast("Q")):
            known = self._types.get(word)
            owner = first + number * _WORD - self._ob_type
            if known is None or owner < memory.begin or any(one[0] <= owner < one[0] + one[1] for one in found):
                continue
            if known.__name__ == "moduledef":
                found.append((owner, self._module, "module"))
            elif self._is_header(owner, memory):
                found.append((owner, self._ob_type, "object"))
        return sorted(found)

    def _types_in(self, memory: Memory) -> list[int]:
        known = self._by_section.get(memory.begin)
        if known is None:
            end = memory.begin + len(memory.copy)
            known = self._by_section[memory.begin] = [one for one in self._types if memory.begin <= one < end]
        return known

    def _is_header(self, owner: int, memory: Memory) -> bool:
        """Whether an object begins there: before a pointer to a type stands what a header has.

        Other variables before a static pointer to a type look like that only by chance. Where symbols are, they must agree;
        and an owner and a count of references must be there that go together. With the GIL there is no owner to go by, so
        where no symbols are, what may be a count is taken for a variable of the module.
        """
        variable = memory.variable(owner)
        if variable is not None and (variable[0] != owner or variable[1] < self._object):
            return False
        header = memory.copy[owner - memory.begin : owner - memory.begin + self._ob_type]
        if not interpreter.free_threaded_build():
            count, overflow, flags = _WITH_GIL.unpack_from(header)
            return bool(variable is not None and count > 0 and overflow == 0 and flags < _MOST_FLAGS)
        thread, flags, mutex, _, local, shared = _WITHOUT_GIL.unpack_from(header)
        if flags >= _MOST_FLAGS or mutex > _MOST_MUTEX or shared >> 2 >= _MOST_REFERENCES:
            return False
        if thread == 0:  # nobody owns it: it is immortal, or all references are shared ones
            return bool(local == _IMMORTAL or (local == 0 and shared & _MERGED == _MERGED))
        return bool(thread > _LOWEST_THREAD and thread % _WORD == 0 and local < _MOST_REFERENCES)


def all_types() -> list[type]:
    """Every type that is ready."""
    found: dict[int, type] = {}
    todo: list[type] = [object]
    while todo:
        one = todo.pop()
        if id(one) not in found:
            found[id(one)] = one
            todo += type.__subclasses__(one)
    return list(found.values())


def of_symbol(name: str) -> tuple[str, str]:
    """What the name of a variable says: (what writes it, if it is not the module; what is known of it besides)."""
    if name.startswith(("__gcov", "__llvm_gcov", "__profc_", "__profd_", "__llvm_prf", "__prof_nms")):
        return COVERAGE, ""
    if name == "_parser" or name.startswith("_parser."):
        return "", PARSER
    return "", ""

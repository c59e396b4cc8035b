"""What the dynamic linker is told by an ELF file: needed libraries and their versions, imported and exported symbols.

The tables are found by addresses (``PT_DYNAMIC``), as the dynamic linker itself finds them, so a file whose section headers
were removed has them too. :mod:`ftcheck.elf` is the way in.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

SYMBOL = "IBBHQQ"
_NEED, _NEEDED_VERSION = "HHIII", "IHHII"


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the file that is loaded (``PT_LOAD``).

    :param offset: in the file, and **size**: how much of it the file has.
    :param flags: ``PF_X`` 1, ``PF_W`` 2, ``PF_R`` 4.
    """

    offset: int
    address: int
    size: int
    flags: int


@dataclass(frozen=True, slots=True)
class Dynamic:
    """What the dynamic linker is told.

    :param needed: names of libraries.
    :param soname: its own name as a library; empty: none.
    :param values: of the tags of which there is one, by their name (``"DT_RELA"``): an address or a size.
    :param versions: of needed libraries, by the library's file name (``{"libc.so.6": ("GLIBC_2.17", ...)}``).
    """

    needed: tuple[str, ...] = ()
    soname: str = ""
    values: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Tables:
    """The tables of the dynamic linker. They are found by their addresses, which a file without sections has too."""

    def __init__(self, order: str, stream: Any, dynamic: Any, segments: tuple[Segment, ...]) -> None:
        self._order, self._stream, self._dynamic, self._segments = order, stream, dynamic, segments
        tags = [] if dynamic is None else [tag for tag in dynamic.iter_tags() if isinstance(tag["d_tag"], str)]
        self._values = {tag["d_tag"]: int(tag["d_val"]) for tag in tags}
        self._named = [(tag["d_tag"], int(tag["d_val"])) for tag in tags if tag["d_tag"] in ("DT_NEEDED", "DT_SONAME")]
        self._strings = self._at(self._values.get("DT_STRTAB", 0), self._values.get("DT_STRSZ", 0))

    def _at(self, address: int, size: int) -> bytes:
        for one in self._segments:
            if one.address <= address < one.address + one.size:
                self._stream.seek(one.offset + address - one.address)
                return bytes(self._stream.read(max(0, min(size, one.address + one.size - address))))
        return b""

    def read(self) -> Dynamic:
        """What there is but the symbols."""
        named = [(tag, string(self._strings, place)) for tag, place in self._named]
        return Dynamic(
            tuple(name for tag, name in named if tag == "DT_NEEDED"),
            next((name for tag, name in named if tag == "DT_SONAME"), ""),
            self._values,
            self._versions(),
        )

    def _versions(self) -> dict[str, tuple[str, ...]]:
        """The format is in the Linux Standard Base, "Symbol Versioning": two lists, linked by offsets."""
        found: dict[str, tuple[str, ...]] = {}
        place, need, version = self._values.get("DT_VERNEED", 0), self._order + _NEED, self._order + _NEEDED_VERSION
        for _ in range(self._values.get("DT_VERNEEDNUM", 0)):
            data = self._at(place, struct.calcsize(need))
            if len(data) < struct.calcsize(need):
                break
            _, count, file, first, following = struct.unpack(need, data)
            names, at = [], place + first
            for _ in range(count):
                entry = self._at(at, struct.calcsize(version))
                if len(entry) < struct.calcsize(version):
                    break
                _, _, _, name, step = struct.unpack(version, entry)
                names.append(string(self._strings, name))
                if not step:
                    break
                at += step
            found[string(self._strings, file)] = tuple(names)
            if not following:
                break
            place += following
        return found

    def symbols(self, file: Any) -> tuple[frozenset[str], dict[str, int]]:
        """Imports and exports.

        :param file: which has sections; None: the number of symbols follows from a hash table then.
        """
        section = None if file is None else file.get_section_by_name(".dynsym")
        if section is not None:
            data, strings = section.data(), file.get_section(section["sh_link"]).data()
        elif self._dynamic is not None:
            size = struct.calcsize(self._order + SYMBOL) * self._dynamic.num_symbols()
            data, strings = self._at(self._values.get("DT_SYMTAB", 0), size), self._strings
        else:
            return frozenset(), {}
        imports, exports = set(), {}
        for name, info, _, place, address, _ in each(self._order + SYMBOL, data):
            if name and not place:
                imports.add(string(strings, name))
            elif name and info >> 4:
                exports[string(strings, name)] = address
        return frozenset(imports), exports


def each(form: str, data: bytes) -> Iterator[tuple[Any, ...]]:
    """Unpack all that is there, without an incomplete rest."""
    size = struct.calcsize(form)
    return struct.iter_unpack(form, data[: len(data) // size * size])


def string(strings: bytes, place: int) -> str:
    """A name out of a table of strings."""
    end = strings.find(b"\0", place)
    return strings[place : end if end >= 0 else len(strings)].decode(errors="replace")

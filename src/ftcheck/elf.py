"""What an ELF file says of itself: writable sections, static variables, imports, exports, libraries that it needs.

pyelftools reads headers and tables. The symbols themselves, of which a large library has a hundred thousand, are unpacked
by :mod:`struct`, which takes a hundredth of the time; and not before somebody asks for one. Nothing of the file is run, and
files for other machines can be read too, of either byte order, if they are of 64 bits.

A file whose section headers were removed has only segments: of these, what is writable and is neither protected after
relocation (``PT_GNU_RELRO``) nor thread-local counts as one section, without the slots that the dynamic linker fills in
when a function is called for the first time.
"""

from __future__ import annotations

import bisect
import functools
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from ftcheck import elf_dynamic
from ftcheck.elf_dynamic import Segment

_WRITE, _ALLOC, _TLS = 0x1, 0x2, 0x400
_NOT_STATE = (".got", ".dynamic", ".data.rel.ro", ".init_array", ".fini_array", ".preinit_array", ".ctors", ".dtors", ".jcr",
              ".tm_clone_table", ".eh_frame", ".gcc_except_table", ".interp", ".dynstr", ".dynsym", ".note")  # fmt: skip
"""Beginnings of the names of writable sections that are the dynamic linker's, or constant once it is done; where it is told
to protect these (``PT_GNU_RELRO``), as is usual, the names do not matter."""
_OBJECT, _FUNCTIONS = 1, (2, 10)
_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Section:
    """Writable static memory.

    :param address: in the file's own numbering.
    """

    name: str
    address: int
    size: int


@dataclass(frozen=True, slots=True)
class Symbol:
    """A static variable."""

    address: int
    size: int
    name: str


class UnreadableError(Exception):
    """The file is no ELF file that can be read; says why."""


class Elf:
    """One file.

    :ivar machine: what it is for, as ELF calls it: ``"EM_X86_64"``.
    :ivar order: of bytes, as :mod:`struct` calls it: ``"<"`` or ``">"``.
    :ivar segments: what is loaded of it.
    :ivar dynamic: what the dynamic linker is told.
    :ivar stripped: it has no table of its static functions and variables.
    :ivar imports: names of symbols that other files define.
    :ivar exports: name and address of the symbols that it defines for others.
    :ivar comment: what compilers have left of themselves.
    :raises UnreadableError: it cannot be read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            with open(path, "rb") as stream:
                file = ELFFile(stream)
                if file.elfclass != 64:
                    raise UnreadableError("only files of 64 bits can be read")
                self.machine, self.order = str(file["e_machine"]), "<" if file.little_endian else ">"
                self.segments = tuple(
                    Segment(one["p_offset"], one["p_vaddr"], one["p_filesz"], one["p_flags"])
                    for one in file.iter_segments("PT_LOAD")
                )
                dynamic: Any = next(iter(file.iter_segments("PT_DYNAMIC")), None)
                self._has_sections = file.num_sections() > 0
                comment = file.get_section_by_name(".comment") if self._has_sections else None
                self.comment = comment.data().decode(errors="replace") if comment is not None else ""
                self.stripped = not self._has_sections or file.get_section_by_name(".symtab") is None
                table = elf_dynamic.Tables(self.order, stream, dynamic, self.segments)
                self.dynamic = table.read()
                self.imports, self.exports = table.symbols(file if self._has_sections else None)
        except (OSError, ELFError, struct.error) as error:
            raise UnreadableError(str(error) or type(error).__name__) from None
        except UnreadableError:
            raise
        except Exception as error:  # pyelftools trusts what it reads: of a damaged file anything may come
            raise UnreadableError(f"it is damaged: {type(error).__name__}: {error}") from None

    @property
    def needed(self) -> tuple[str, ...]:
        """Names of libraries."""
        return self.dynamic.needed

    @property
    def soname(self) -> str:
        """Its own name as a library; empty: none."""
        return self.dynamic.soname

    @functools.cached_property
    def sections(self) -> tuple[Section, ...]:
        """What is writable in it.

        :raises UnreadableError: the file cannot be read any more.
        """
        try:
            with open(self.path, "rb") as stream:
                file = ELFFile(stream)
                dynamic: Any = next(iter(file.iter_segments("PT_DYNAMIC")), None)
                return tuple(_sections(file) if self._has_sections else _segments(file, dynamic))
        except (OSError, ELFError, struct.error) as error:
            raise UnreadableError(str(error) or type(error).__name__) from None

    def functions_with(self, parts: Sequence[str]) -> frozenset[str]:
        """Names of functions that it defines in which one of these texts is, static ones included where it is not stripped.

        Of a large library these are a few in a hundred thousand. So it is not the names that are made and looked through,
        but the table of strings, once for each part; and where a part is, the symbols tell which names end there: linkers
        keep a string that is the end of another one only there, so several may.
        """
        strings, data = self._table
        rows = elf_dynamic.each(self.order + elf_dynamic.SYMBOL, data)
        places = {name for name, info, _, section, address, _ in rows if section and address and info & 15 in _FUNCTIONS}
        found: set[str] = set()
        for part in map(str.encode, parts):
            at = strings.find(part)
            while at >= 0:
                begin = strings.rfind(b"\0", 0, at) + 1
                found.update(elf_dynamic.string(strings, place) for place in range(begin, at + 1) if place in places)
                at = strings.find(part, at + 1)
        return frozenset(found)

    @functools.cached_property
    def _table(self) -> tuple[bytes, bytes]:
        """The strings and the symbols of its table of symbols, as they are in the file."""
        if not self._has_sections:
            return b"", b""
        with open(self.path, "rb") as stream:
            file = ELFFile(stream)
            table = file.get_section_by_name(".symtab") or file.get_section_by_name(".dynsym")
            if table is None or table["sh_type"] == "SHT_NOBITS":
                return b"", b""
            return file.get_section(table["sh_link"]).data(), table.data()

    @functools.cached_property
    def variables(self) -> tuple[Symbol, ...]:
        """Static variables by address; one that lies in another one is left out, as an alias is."""
        strings, data = self._table
        inside = [(one.address, one.address + one.size) for one in self.sections]
        kept: list[Symbol] = []
        candidates = {
            (address, size, elf_dynamic.string(strings, name))
            for name, info, _, section, address, size in elf_dynamic.each(self.order + elf_dynamic.SYMBOL, data)
            if info & 15 == _OBJECT and name and section and size and any(begin <= address < end for begin, end in inside)
        }
        for address, size, name in sorted(candidates, key=lambda one: (one[0], -one[1], one[2])):
            if not kept or address >= kept[-1].address + kept[-1].size:
                kept.append(Symbol(address, size, name))
        return tuple(kept)

    def variables_in(self, begin: int, end: int) -> Iterator[Symbol]:
        """Those that have a byte in this range of addresses."""
        at = bisect.bisect_right(self.variables, begin, key=lambda one: one.address) - 1
        for one in self.variables[max(0, at) :]:
            if one.address >= end:
                return
            if one.address + one.size > begin:
                yield one


@functools.lru_cache(maxsize=256)
def read(path: str, identity: tuple[int, int]) -> Elf:
    """That file.

    :param identity: device and inode, so that one that was replaced is read anew.
    :raises UnreadableError: it cannot be read.
    """
    found = Elf(path)
    _ = found.sections  # now, while it is that file
    return found


def _sections(file: Any) -> Iterator[Section]:
    constant = [(one["p_vaddr"], one["p_vaddr"] + one["p_memsz"]) for one in file.iter_segments("PT_GNU_RELRO")]
    for one in file.iter_sections():
        flags = one["sh_flags"]
        state = flags & _WRITE and flags & _ALLOC and not flags & _TLS
        kept = not any(begin <= one["sh_addr"] < end for begin, end in constant)
        if state and kept and one["sh_size"] and not one.name.startswith(_NOT_STATE):
            yield Section(one.name, one["sh_addr"], one["sh_size"])


def _segments(file: Any, dynamic: Any) -> Iterator[Section]:
    ranges = [
        (one["p_vaddr"], one["p_vaddr"] + one["p_memsz"]) for one in file.iter_segments("PT_LOAD") if one["p_flags"] & 2
    ]
    for kind in ("PT_GNU_RELRO", "PT_DYNAMIC"):
        for one in file.iter_segments(kind):
            ranges = _without(ranges, one["p_vaddr"], one["p_vaddr"] + one["p_memsz"])
    for address in sorted(_slots(dynamic)):
        ranges = _without(ranges, address, address + 8)
    for begin, end in sorted(ranges):
        yield Section("(writable)", begin, end - begin)


def _without(ranges: Iterable[tuple[int, int]], begin: int, end: int) -> list[tuple[int, int]]:
    if end <= begin:
        return list(ranges)
    parts = [part for one in ranges for part in ((one[0], min(one[1], begin)), (max(one[0], end), one[1]))]
    return [part for part in dict.fromkeys(parts) if part[0] < part[1]]


def _slots(dynamic: Any) -> set[int]:
    """Words that the dynamic linker fills in with the address of a function or a variable."""
    if dynamic is None:
        return set()
    found = {one["r_offset"] for table in dynamic.get_relocation_tables().values() for one in table.iter_relocations()
             if one["r_info_sym"]}  # fmt: skip
    return found | {
        address + n * 8 for tag in dynamic.iter_tags("DT_PLTGOT") for address in [tag["d_ptr"]] for n in range(3)
    }


def base_of(elf: Elf, start: int, offset: int) -> int:
    """What has to be added to an address of a file to have it in memory.

    :param start: where the lowest part of it is mapped, and **offset**: which part of the file that is.
    :raises UnreadableError: the file does not say that this part is loaded.
    """
    for one in elf.segments:
        if one.offset // _PAGE * _PAGE == offset:
            return start - one.address // _PAGE * _PAGE
    raise UnreadableError("it is not mapped as its headers say")

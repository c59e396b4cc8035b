"""What a shared object needs of others, and which file the dynamic linker would take for it.

The rules are those of glibc's ``ld.so`` (ld.so(8)): ``DT_RPATH`` where there is no ``DT_RUNPATH``, then ``LD_LIBRARY_PATH``,
then ``DT_RUNPATH``, then the cache that ``ldconfig`` made, then the standard folders. Nothing is loaded. A library that is
in the process already, because something else has loaded it before, is taken by the real linker wherever it is; so *not
found* is what a program would see that imports this module first.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from ftcheck.elf import UnreadableError

_FAMILIES = ("GLIBC", "GLIBCXX", "CXXABI")
_FOLDERS = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")
_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Linking:
    """What one file says.

    :param machine: ``EM_X86_64``.
    :param needed: names of libraries (``DT_NEEDED``).
    :param rpath, runpath: folders to look in; ``$ORIGIN`` is replaced.
    :param needs: the highest version that it needs of a library's symbols, by family: ``{"GLIBC": "2.17"}``.
    :param provides: the same of those that it defines.
    :param init: whether it defines a ``PyInit_`` function.
    """

    machine: str
    needed: tuple[str, ...]
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]
    needs: dict[str, str]
    provides: dict[str, str]
    init: bool


def read(path: str) -> Linking:
    """What this file says.

    :raises UnreadableError: it cannot be read as an ELF file.
    """
    try:
        with open(path, "rb") as stream:
            file = ELFFile(stream)
            dynamic: Any = next(iter(file.iter_segments("PT_DYNAMIC")), None)
            tags = list(dynamic.iter_tags()) if dynamic is not None else []
            origin = os.path.dirname(os.path.realpath(path))
            return Linking(
                machine=str(file["e_machine"]),
                needed=tuple(tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"),
                rpath=_folders((tag.rpath for tag in tags if tag.entry.d_tag == "DT_RPATH"), origin),
                runpath=_folders((tag.runpath for tag in tags if tag.entry.d_tag == "DT_RUNPATH"), origin),
                needs=_highest(_names_needed(file)),
                provides=_highest(_names_defined(file)),
                init=any(symbol.name.startswith("PyInit_") for symbol in _defined(file)),
            )
    except (OSError, ELFError, struct.error, UnicodeDecodeError, AttributeError, ValueError, KeyError, TypeError) as error:
        # pyelftools raises whatever a broken table makes of its code
        raise UnreadableError(str(error) or type(error).__name__) from None


def _folders(entries: Iterator[str], origin: str) -> tuple[str, ...]:
    parts = [part for entry in entries for part in entry.split(":") if part]
    return tuple(os.path.normpath(part.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)) for part in parts)


def _names_needed(file: Any) -> Iterator[str]:
    section = file.get_section_by_name(".gnu.version_r")
    for _, versions in section.iter_versions() if section is not None else ():
        yield from (version.name for version in versions)


def _names_defined(file: Any) -> Iterator[str]:
    section = file.get_section_by_name(".gnu.version_d")
    for _, names in section.iter_versions() if section is not None else ():
        first = next(iter(names), None)
        if first is not None:
            yield first.name


def _defined(file: Any) -> Iterator[Any]:
    section = file.get_section_by_name(".dynsym")
    if section is not None:
        yield from (symbol for symbol in section.iter_symbols() if symbol["st_shndx"] != "SHN_UNDEF")


def _highest(names: Iterator[str]) -> dict[str, str]:
    """``GLIBC_2.3.4`` and ``GLIBC_2.17`` are ``{"GLIBC": "2.17"}``."""
    found: dict[str, str] = {}
    for name in names:
        family, _, number = name.partition("_")
        if family in _FAMILIES and re.fullmatch(r"\d+(\.\d+)*", number):
            found[family] = max(found.get(family, "0"), number, key=numbers)
    return dict(sorted(found.items()))


def numbers(version: str) -> tuple[int, ...]:
    """``2.17`` as something that can be compared."""
    return tuple(int(part) for part in version.split("."))


def resolve(name: str, of: Linking) -> str:
    """The file that the linker would take for this library; empty: there is none."""
    if os.sep in name:
        return name if os.path.exists(name) else ""
    first = () if of.runpath else of.rpath
    typed = tuple(part for part in os.environ.get("LD_LIBRARY_PATH", "").split(":") if part)
    for folder in (*first, *typed, *of.runpath):
        if _fits(os.path.join(folder, name), of.machine):
            return os.path.join(folder, name)
    for path in _cache().get(name, ()):
        if _fits(path, of.machine):
            return path
    for folder in _FOLDERS:
        if _fits(os.path.join(folder, name), of.machine):
            return os.path.join(folder, name)
    return ""


@functools.lru_cache(maxsize=4096)
def _fits(path: str, machine: str) -> bool:
    """Whether it is there, for the same kind of processor."""
    try:
        with open(path, "rb") as stream:
            return str(ELFFile(stream)["e_machine"]) == machine
    except OSError, ELFError:
        return False


@functools.cache
def _cache() -> dict[str, Sequence[str]]:
    """What ``ldconfig`` has noted: files by library. Empty where there is no such thing (musl)."""
    tool = shutil.which("ldconfig") or next(filter(os.path.exists, ("/sbin/ldconfig", "/usr/sbin/ldconfig")), None)
    found: dict[str, list[str]] = {}
    if tool is not None:
        try:
            said = subprocess.run(
                [tool, "-p"], capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
            )
        except OSError, subprocess.TimeoutExpired:
            return {}
        for line in said.stdout.splitlines():
            name, arrow, path = line.strip().partition(" => ")
            if arrow:
                found.setdefault(name.partition(" (")[0], []).append(path)
    return dict(found)

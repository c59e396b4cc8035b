"""Which source line, and which variable, an address in an extension stands for.

``addr2line`` and ``nm`` of binutils (or LLVM's) read the debugging information that ``ftcheck-cc`` asks the compiler for.
They are there where a compiler is; where they are not, an address is shown as an offset into its file.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Line:
    """A line of C, C++ or Cython code.

    :param file: empty where nobody knows; then ``line`` is the offset into the module.
    """

    function: str
    file: str
    line: int
    module: str

    def __str__(self) -> str:
        if not self.file:
            return f"{os.path.basename(self.module)}+{self.line:#x}"
        return f"{os.path.basename(self.file)}:{self.line}"

    @property
    def source(self) -> str:
        """The text of the line; empty where it cannot be read."""
        with contextlib.suppress(OSError, UnicodeDecodeError, IndexError):
            return _lines(self.file)[self.line - 1].strip()
        return ""


@functools.lru_cache(maxsize=64)
def _lines(file: str) -> Sequence[str]:
    with open(file, encoding="utf-8") as text:
        return text.read().splitlines()


def lines(module: str, offsets: Iterable[int]) -> dict[int, tuple[Line, ...]]:
    """For each offset into a module the line it stands for, and after it those that it was inlined into.

    :param module: the path of a shared object.
    """
    wanted = sorted(set(offsets))
    unknown = {offset: (Line("?", "", offset, module),) for offset in wanted}
    said = _run(("addr2line", "llvm-addr2line"), ["-a", "-f", "-i", "-C", "-e", module, *map(hex, wanted)]) if wanted else ""
    known: dict[int, list[Line]] = {}
    current: list[Line] = []
    function = ""
    for text in said.splitlines():
        if text.startswith("0x") and ":" not in text:
            current = known.setdefault(int(text, 16), [])
            function = ""
        elif not function:
            function = text
        else:
            file, _, number = text.partition(" (discriminator")[0].rpartition(":")
            if file != "??" and number.isdigit() and number != "0":
                current.append(Line(function, os.path.normpath(file), int(number), module))
            function = ""
    return unknown | {offset: tuple(found) for offset, found in known.items() if found}


@functools.lru_cache(maxsize=64)
def _variables(module: str) -> Sequence[tuple[int, int, str]]:
    found = []
    for text in _run(("nm", "llvm-nm"), ["-S", "-C", "--defined-only", module]).splitlines():
        words = text.split(None, 3)
        if len(words) == 4 and words[2] in "bBdDgGsS":
            found.append((int(words[0], 16), int(words[1], 16), words[3]))
    return found


def variable(module: str, offset: int) -> str:
    """The static variable that this offset into a module lies in; empty: there is none that is known."""
    return next((name for begin, size, name in _variables(module) if begin <= offset < begin + size), "")


@functools.lru_cache(maxsize=64)
def _functions(module: str) -> Sequence[tuple[int, int, str]]:
    found = []
    for text in _run(("nm", "llvm-nm"), ["-S", "-C", "--defined-only", module]).splitlines():
        words = text.split(None, 3)
        if len(words) == 4 and words[2] in "tTwW":
            found.append((int(words[0], 16), int(words[1], 16), words[3]))
    return found


def function(module: str, offset: int) -> str:
    """The function that this offset into a module lies in, by its table of symbols; empty: it has none of it."""
    return next((name for begin, size, name in _functions(module) if begin <= offset < begin + size), "")


def _run(names: Sequence[str], arguments: Sequence[str]) -> str:
    tool = next(filter(None, map(shutil.which, names)), None)
    if tool is None:
        return ""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=_SECONDS, check=False)
        return done.stdout
    return ""


def readable(names: Sequence[str]) -> dict[str, str]:
    """Names of variables as their source has them, where that is another one: those of C++ and of Cython.

    C++ is left to ``c++filt``; where that is not there, they stay as they are.
    """
    found = {name: cython for name in names if (cython := _cython(name))}
    mangled = [name for name in dict.fromkeys(names) if name.startswith("_Z") and len(name) < _LONGEST]
    for number in range(0, len(mangled), _AT_ONCE):
        some = mangled[number : number + _AT_ONCE]
        said = _run(("c++filt", "llvm-cxxfilt"), some).splitlines()
        if len(said) == len(some):
            found |= dict(zip(some, said, strict=True))
    return found


_LONGEST, _AT_ONCE = 4096, 200
_CYTHON = re.compile(r"__pyx_(?:v|vp|f|ptype|vtable|vtabptr|k|t|e)_((?:\d+\w+)+)")


def _cython(name: str) -> str:
    """``pkg.mod.counter`` for ``__pyx_v_3pkg_3mod_counter``; empty for any other name."""
    whole = _CYTHON.fullmatch(name)
    rest, parts = whole[1] if whole is not None else "", []
    while (length := re.match(r"\d+", rest)) is not None:
        word, rest = rest[length.end() : length.end() + int(length[0])], rest[length.end() + int(length[0]) :]
        if len(word) < int(length[0]) or not rest.startswith("_"):
            return ""
        parts.append(word)
        rest = rest[1:]
    return ".".join([*parts, rest]) if parts and rest else ""

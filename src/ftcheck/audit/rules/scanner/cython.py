"""Cython source by its indentation: functions, ``cdef`` variables and attributes, and what a lock covers.

No grammar is followed, and Cython itself is not needed. Strings and comments are blanked out first, so that nothing in them
counts; a statement that goes on in the next line counts as its first line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ftcheck.audit.rules.scanner.tokens import Comment

SUFFIXES = frozenset((".pyx", ".pxd", ".pxi"))
_BLANKED = re.compile(
    r"(?P<long>[rRbBuUfF]{0,2}(?:\"\"\".*?(?:\"\"\"|\Z)|'''.*?(?:'''|\Z)))|"
    r"(?P<short>[rRbBuUfF]{0,2}(?:\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?))|(?P<comment>\#[^\n]*)",
    re.DOTALL,
)
_FUNCTION = re.compile(
    r"(?:cdef|cpdef|def|async\s+def)\s+(?!class\b|struct\b|enum\b|extern\b|union\b)(?:[^=:\n]*?[\s*&])?(\w+)\s*\("
)
_CLASS = re.compile(r"(cdef\s+)?(?:(?:public|api)\s+)*class\s+(\w+(?:\.\w+)*)\s*(?:\(\s*([\w.]*))?")
_VARIABLE = re.compile(
    r"cdef\s+(?:(?:public|readonly|inline|volatile)\s+)*"
    r"(?!class\b|struct\b|enum\b|extern\b|union\b|packed\b|cppclass\b)"
    r"([\w.]+(?:\s*\[[^\]]*\])?(?:\s+(?!\w+\s*\()\w+)*?)[\s*&]+"  # the type
    r"(\w+(?:\s*\[[^\]]*\])?\s*(?:=[^,]*)?(?:,\s*\**\w+\s*(?:=[^,]*)?)*)$"  # the names
)
_LOCKS = re.compile(r"critical_section|pymutex|lock|mutex|guard", re.IGNORECASE)
_CIMPORT = re.compile(r"from\s+(libc|posix)[\w.]*\s+cimport\s+\(?(.*)")


@dataclass(slots=True, eq=False)
class Block:
    """A function or class, or a ``with`` that locks.

    :ivar kind: ``function``, ``class``, ``cdef class`` or ``lock``. :ivar indent: of its first line, in columns. :ivar
        base: of a class.
    """

    kind: str
    name: str
    line: int
    indent: int
    locked: bool = False
    base: str = ""


@dataclass(slots=True)
class Statement:
    """A line that is not empty, and the blocks around it, the outermost first."""

    text: str
    line: int
    blocks: tuple[Block, ...]

    @property
    def locked(self) -> bool:
        """Whether a lock covers it."""
        return any(one.locked or one.kind == "lock" for one in self.blocks)

    @property
    def function(self) -> str:
        """The qualified name of the function that it is in; empty: none."""
        if not any(one.kind == "function" for one in self.blocks):
            return ""
        return ".".join(one.name for one in self.blocks if one.kind != "lock")


@dataclass(slots=True)
class CythonFile:
    """One file.

    :ivar globals: module variables that ``cdef`` declares, with their types and lines.
    :ivar attributes: of each cdef class, what ``cdef`` declares in it, with their types. :ivar includes: files it includes.
    :ivar cimported: functions of the C library that it uses.
    """

    path: Path
    source: str
    statements: Sequence[Statement]
    comments: Sequence[Comment]
    globals: dict[str, tuple[str, int]] = field(default_factory=dict)
    attributes: dict[str, dict[str, str]] = field(default_factory=dict)
    includes: set[str] = field(default_factory=set)
    cimported: set[str] = field(default_factory=set)
    functions: int = 0

    @property
    def lines(self) -> int:
        """Its number of lines."""
        return len(self.source.splitlines())


def read(path: Path, source: str) -> CythonFile:
    """Read a file."""
    comments: list[Comment] = []

    def blank(found: re.Match[str]) -> str:
        text = found[0]
        if found["comment"]:
            line = source.count("\n", 0, found.start()) + 1
            before = source[source.rfind("\n", 0, found.start()) + 1 : found.start()]
            comments.append(Comment(text, line, line, not before.strip()))
            return ""
        return '""' + "\n" * text.count("\n")

    text = _BLANKED.sub(blank, source)
    file = CythonFile(path, source, tuple(_statements(text)), tuple(comments))
    for one in file.statements:
        _declare(file, one)
        if one.text.startswith("include "):
            line = source.split("\n")[one.line - 1]
            file.includes |= set(re.findall(r"""["']([^"']+)["']""", line))
        found = _CIMPORT.match(one.text)
        if found is not None:
            file.cimported |= {word.strip() for word in re.split(r"[,\s()]+", found[2]) if word.strip()}
    file.functions = len(
        {(block.name, block.line) for one in file.statements for block in one.blocks if block.kind == "function"}
    )
    return file


def _statements(text: str) -> Iterator[Statement]:
    stack: list[Block] = []
    locking = False  # a decorator that locks came before
    depth = 0
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.strip()
        if not bare:
            continue
        begins = depth == 0
        depth = max(0, depth + sum(line.count(one) for one in "([{") - sum(line.count(one) for one in ")]}"))
        if not begins:
            continue
        indent = len(line.expandtabs(8)) - len(line.expandtabs(8).lstrip())
        while stack and indent <= stack[-1].indent:
            stack.pop()
        yield Statement(bare, number, tuple(stack))
        if bare.startswith("@"):
            locking = locking or bool(_LOCKS.search(bare))
            continue
        if (found := _CLASS.match(bare)) is not None:
            stack.append(Block("cdef class" if found[1] else "class", found[2], number, indent, base=found[3] or ""))
        elif (found := _FUNCTION.match(bare)) is not None and (bare.endswith(":") or depth or ":" in bare):
            stack.append(Block("function", found[1], number, indent, locking))
        elif bare.startswith("with ") and _LOCKS.search(bare):
            stack.append(Block("lock", bare, number, indent))
        elif bare.startswith(("cdef extern", "cdef struct", "cdef enum", "cdef union", "cdef packed", "ctypedef struct")):
            stack.append(Block("extern", "", number, indent))
        locking = False


def _declare(file: CythonFile, one: Statement) -> None:
    kinds = [block.kind for block in one.blocks]
    if "function" in kinds or "extern" in kinds:
        return
    found = _VARIABLE.match(one.text)
    if found is None or "(" in one.text.partition("=")[0]:
        return
    names = [re.match(r"\W*(\w+)", part) for part in re.split(r",(?![^\[]*\])", found[2])]
    for name in filter(None, names):
        if kinds[-1:] == ["cdef class"]:
            file.attributes.setdefault(one.blocks[-1].name, {})[name[1]] = found[1]
        elif not kinds:
            file.globals[name[1]] = (found[1], one.line)

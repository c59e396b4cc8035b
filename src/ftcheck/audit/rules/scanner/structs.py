"""Which structs of an extension are Python objects: those that begin with an object's head.

By their text: ``PyObject_HEAD``, ``PyObject_VAR_HEAD``, or a first field named ``ob_base``, and structs that begin with
one of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ftcheck.audit.rules.scanner.tokens import NAME, Token

if TYPE_CHECKING:
    from ftcheck.audit.rules.scanner.project import Unit

_HEADS = frozenset(("PyObject_HEAD", "PyObject_VAR_HEAD", "ob_base"))
_OWN = frozenset((
    "PyObject", "PyTypeObject", "PyVarObject", "PyListObject", "PyDictObject", "PyTupleObject", "PyUnicodeObject",
    "PyBytesObject", "PyFloatObject", "PyLongObject", "PyDateTime_DateTime", "PyDateTime_Delta",
))  # fmt: skip


def of_objects(units: Sequence[Unit]) -> frozenset[str]:
    """Their names: of the struct, and of its typedefs."""
    found = set(_OWN)
    bodies = [(first, names) for unit in units for first, names in _structs(unit.code)]
    for _ in range(3):  # a struct that begins with a struct that begins with one
        found |= {name for first, names in bodies if first & (found | _HEADS) for name in names}
    return frozenset(found - {"struct", "const"})


def _structs(code: Sequence[Token]) -> Iterator[tuple[frozenset[str], set[str]]]:
    """(the words of its first field, its names) of each struct with a body."""
    for index, token in enumerate(code):
        if token.text not in ("struct", "class"):
            continue
        at, names = index + 1, set[str]()
        while at < len(code) and code[at].kind == NAME:
            names.add(code[at].text)
            at += 1
        bases: set[str] = set()
        if at < len(code) and code[at].text == ":":
            while at < len(code) and code[at].text not in ("{", ";"):
                bases.add(code[at].text)
                at += 1
        if at >= len(code) or code[at].text != "{":
            continue
        end = at + 1
        while end < len(code) and code[end].text not in (";", "}", "*", "("):
            end += 1
            if code[end - 1].text in _HEADS:
                break
        pointer = end < len(code) and code[end].text == "*"
        first = frozenset() if pointer else frozenset(one.text for one in code[at:end])
        depth = 0
        while at < len(code):
            depth += {"{": 1, "}": -1}.get(code[at].text, 0)
            at += 1
            if depth == 0:
                break
        while at < len(code) and code[at].text not in (";", "=", "(", "{"):
            if code[at].kind == NAME:
                names.add(code[at].text)
            at += 1
        yield first | bases, names

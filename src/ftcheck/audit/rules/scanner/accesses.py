"""Reads, tests and writes of static variables in a function.

A write is an assignment, ``++`` and ``--``, also through an index, a field or a pointer (``table[i] = x``,
``cache->used++``), the first argument of ``memcpy`` and its kin, ``Py_CLEAR`` and ``Py_XSETREF``, and a method of a C++
container that changes it. Where only the address is passed to another function it is not known what that does: neither
a read nor a write, so atomic operations accuse nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ftcheck.audit.rules.scanner.functions import Function
from ftcheck.audit.rules.scanner.project import Project, Unit
from ftcheck.audit.rules.scanner.tokens import NAME
from ftcheck.audit.rules.scanner.variables import Variable

_ASSIGNS = frozenset(("=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="))
_STORES: dict[str, int] = {
    **dict.fromkeys(("memcpy", "memmove", "memset", "strcpy", "strncpy", "strcat", "strncat", "sprintf", "snprintf",
                     "vsprintf", "vsnprintf", "PyOS_snprintf", "PyOS_vsnprintf", "stpcpy", "bzero", "qsort", "strftime",
                     "fread", "memccpy", "strlcpy", "strlcat", "wcscpy", "wmemcpy"), 0),
    **dict.fromkeys(("read", "recv", "pread"), 1),
    **dict.fromkeys(("Py_CLEAR", "Py_SETREF", "Py_XSETREF"), 0),
}  # fmt: skip
"""Functions that write to what an argument points to; which one."""
_CHANGES = frozenset((
    "push_back", "pop_back", "emplace", "emplace_back", "push_front", "insert", "erase", "clear", "resize", "assign",
    "append", "push", "pop", "swap", "reset", "reserve", "insert_or_assign", "try_emplace", "merge", "splice",
))  # fmt: skip
"""Methods that change a C++ container."""
_OF_TYPES = frozenset(("sizeof", "typeof", "__typeof__", "decltype", "alignof", "_Alignof", "__alignof__"))
_NOTHING = ("NULL", "0", "nullptr", "false", "Py_None")


@dataclass(frozen=True, slots=True)
class Access:
    """A use of a static variable.

    :param how: ``unset``: it is asked whether it is not set yet; ``set``: whether it is, and if so the function returns.
    :param call: the function that does it; empty: an operator.
    """

    variable: Variable
    index: int
    how: Literal["read", "write", "unset", "set", "address"]
    call: str = ""


def of_function(project: Project, unit: Unit, function: Function, names: frozenset[str]) -> Iterator[Access]:
    """The accesses of a function, in the order of its text.

    :param names: of all static variables of the project.
    """
    if not function.names & names:
        return
    code = unit.code
    stores = {
        index: call.name
        for call in function.calls
        if call.name in _STORES and _STORES[call.name] < len(call.args)
        for index in range(*call.args[_STORES[call.name]])
    }
    for index in range(function.begin, function.end):
        token = code[index]
        if token.kind != NAME or token.text not in names or code[index - 1].text in (".", "->"):
            continue
        variable = project.variable(unit, function, token.text)
        if variable is None or index == variable.index or _asks_for_its_type(unit, index):
            continue
        yield Access(variable, index, *_how(unit, function, index, variable, stores))


def _asks_for_its_type(unit: Unit, index: int) -> bool:
    """Whether it stands in ``sizeof`` or its like, which looks at no value (C11 6.5.3.4)."""
    before = index - 1
    while unit.code[before].text in ("(", "*", "&"):
        before -= 1
    return unit.code[before].text in _OF_TYPES


def _how(
    unit: Unit, function: Function, index: int, variable: Variable, stores: dict[int, str]
) -> tuple[Literal["read", "write", "unset", "set", "address"], str]:
    code = unit.code
    after, fields = index + 1, 0
    while code[after].text in ("[", ".", "->"):
        if code[after].text == "[":
            after = _closing(unit, after) + 1
        elif code[after + 1].text in _CHANGES and code[after + 2].text == "(":
            return "write", code[after + 1].text
        else:
            after += 2
            fields += 1
    before = index - 1
    while code[before].text in ("*", "(") and code[before - 1].text not in ("while", "if", "for", "switch", ")"):
        if code[before].text == "(" and code[before - 1].kind == NAME:
            break
        before -= 1
    refers = code[index - 1].text == ":" and code[index - 3].text in ("&", "&&")
    if refers and not any(code[at].text == "const" for at in range(index - 8, index)):
        return "write", "for"  # for (long &one : numbers): to change them
    if code[after].text in _ASSIGNS or code[after].text in ("++", "--") or code[before].text in ("++", "--"):
        return "write", ""
    if code[after].text == ")" and code[before].text == "*" and code[after + 1].text in _ASSIGNS:
        return "write", ""
    if index in stores:
        reads = variable.pointer and not variable.array and not fields and not stores[index].startswith("Py_")
        return ("read" if reads else "write"), stores[index]
    if code[index - 1].text == "&":
        return "address", ""
    if (tested := _tested(unit, function, index, after)) is not None:
        return tested, ""
    return "read", ""


def _tested(unit: Unit, function: Function, index: int, after: int) -> Literal["unset", "set"] | None:
    """What ``if`` asks about it."""
    code = unit.code
    opening, depth = index - 1, 0
    while opening > function.begin:
        text = code[opening].text
        if text == ")":
            depth += 1
        elif text == "(":
            depth -= 1
            if depth < 0 and code[opening - 1].text in (
                "if",
                "unlikely",
                "UNLIKELY",
                "Py_UNLIKELY",
                "__builtin_expect",
                "likely",
            ):
                break
            if depth < 0 and code[opening - 1].kind == NAME:
                return None
        elif text in (";", "{", "}"):
            return None
        opening -= 1
    before, behind = code[index - 1].text, code[after].text
    negated = before == "!" or (behind == "==" and code[after + 1].text in _NOTHING)
    negated = negated or (before == "==" and code[index - 2].text in _NOTHING)
    if negated:
        return "unset"
    if behind == "!=" and code[after + 1].text in _NOTHING:
        behind = code[after + 2].text
    close = _closing(unit, opening)
    body = code[close + 1].text
    alone = before == "(" and behind == ")"
    if alone and (body == "return" or (body == "{" and _returns(unit, close + 1))):
        return "set"
    return None


def _returns(unit: Unit, brace: int) -> bool:
    code, inside = unit.code, unit.shape.depth[brace] + 1
    for index in range(brace + 1, len(code)):
        if unit.shape.depth[index] == inside:
            if code[index].text == "}":
                return False
            if code[index].text == "return":
                return True
    return False


def _closing(unit: Unit, index: int) -> int:
    depth = 0
    for at in range(index, len(unit.code)):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(unit.code[at].text, 0)
        if depth == 0:
            return at
    return len(unit.code) - 1


def block_after(unit: Unit, index: int, limit: int) -> tuple[int, int]:
    """The tokens of the statement or block that the ``if`` around a token guards."""
    code, at, depth = unit.code, index, 0
    while at < limit:
        depth += {"(": 1, ")": -1}.get(code[at].text, 0)
        at += 1
        if depth < 0 and code[at].text not in (")", "&&", "||", "==", "!=", ">", "<"):
            break
    begin = at
    if code[begin].text == "{":
        inside = unit.shape.depth[begin] + 1
        while at < limit and not (code[at].text == "}" and unit.shape.depth[at] == inside):
            at += 1
    else:
        while at < limit and code[at].text != ";":
            at += 1
    return begin, at

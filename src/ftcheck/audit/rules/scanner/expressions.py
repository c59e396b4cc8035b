"""Where an expression ends, what is left of it without casts, and how a local variable was declared. Tokens only, no
grammar."""

from __future__ import annotations

from ftcheck.audit.rules.scanner.calls import Span
from ftcheck.audit.rules.scanner.functions import Function
from ftcheck.audit.rules.scanner.project import Unit
from ftcheck.audit.rules.scanner.tokens import NAME


def declared_type(unit: Unit, function: Function, name: str) -> str:
    """The words before a local variable where it is declared: ``TypeContext *``."""
    code = unit.code
    for index in range(function.begin + 1, function.end):
        if code[index].text == name and code[index + 1].text in ("=", ";", ",", "{") and code[index].kind == NAME:
            back = index - 1
            while code[back].text in ("*", "const"):
                back -= 1
            if code[back].kind == NAME and code[back - 1].text in ("{", "}", ";", "struct", "const", ":", ")"):
                return f"{code[back].text} *"
    return ""


def bare(unit: Unit, span: Span) -> Span:
    """Without casts, parentheses around it, and ``&``."""
    begin, end = span
    code = unit.code
    while begin < end:
        if code[begin].text == "&":
            begin += 1
        elif (
            code[begin].text in ("_PyObject_CAST", "_PyList_CAST", "_PyDict_CAST", "Py_NewRef", "Py_XNewRef")
            and end - begin > 3
        ):
            begin, end = begin + 2, end - 1
        elif code[begin].text == "(":
            close = _close(unit, begin, end)
            if close == end - 1:
                begin, end = begin + 1, end - 1
            elif _is_cast(unit, begin, close):
                begin = close + 1
            else:
                break
        else:
            break
    return begin, end


def _is_cast(unit: Unit, begin: int, close: int) -> bool:
    inside = unit.code[begin + 1 : close]
    return bool(inside) and all(token.kind == NAME or token.text == "*" for token in inside)


def _close(unit: Unit, index: int, end: int) -> int:
    depth = 0
    for at in range(index, end):
        depth += {"(": 1, ")": -1}.get(unit.code[at].text, 0)
        if depth == 0:
            return at
    return end - 1


def expression_end(unit: Unit, index: int, limit: int) -> int:
    """The token after the expression that begins at this one."""
    depth = 0
    while index < limit:
        text = unit.code[index].text
        if text in ("(", "[", "{"):
            depth += 1
        elif text in (")", "]", "}"):
            depth -= 1
            if depth < 0:
                return index
        elif depth == 0 and text in (";", ","):
            return index
        index += 1
    return index

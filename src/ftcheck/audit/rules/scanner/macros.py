"""What is known of macros on free-threaded CPython 3.14, and the value of the condition of an ``#if``.

A value that depends on what is not known is None. ``0 && x`` is 0 all the same.

Source: C11 6.10.1. Arithmetic is that of Python: no overflow.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

KNOWN: dict[str, int] = {
    "PY_VERSION_HEX": 0x030E00F0,
    "PY_MAJOR_VERSION": 3,
    "PY_MINOR_VERSION": 14,
    "PY_MICRO_VERSION": 0,
    "Py_GIL_DISABLED": 1,
    "WITH_THREAD": 1,
    "NDEBUG": 1,
}
"""Macros of a release of free-threaded CPython 3.14, and their values."""
UNDEFINED = frozenset(
    ("Py_LIMITED_API", "PYPY_VERSION", "PYPY_VERSION_NUM", "GRAALVM_PYTHON", "Py_DEBUG", "Py_TRACE_REFS", "RUSTPYTHON")
)
"""Macros that are not defined there."""

_WORDS = re.compile(r"0[xX][0-9a-fA-F]+|0[bB][01]+|\d+|[A-Za-z_]\w*|&&|\|\||[=!<>]=|<<|>>|'(?:\\.|[^'])*'|\"[^\"]*\"|\S")
_LEVELS = (("||",), ("&&",), ("|",), ("^",), ("&",), ("==", "!="), ("<", ">", "<=", ">="), ("<<", ">>"), ("+", "-"),
           ("*", "/", "%"))  # fmt: skip
COMMENTS = re.compile(r"/\*.*?(?:\*/|\Z)|//[^\n]*", re.DOTALL)
_DEBUG = re.compile(r"(\w*_)?(DEBUG\w*|TRACE\w*|FUZZ\w*|COVERITY\w*|LINT|VALGRIND\w*)|__SANITIZE_\w+")
"""Macros that a release does not define, by their names, unless the file does."""
type Value = int | None
"""None: not known."""


class Macros:
    """What is known of macros at a place in a file."""

    def __init__(self, cplusplus: bool) -> None:
        self._values: dict[str, Value] = dict(KNOWN)
        self._undefined = set(UNDEFINED)
        if cplusplus:
            self._values["__cplusplus"] = 201703
        else:
            self._undefined.add("__cplusplus")

    def define(self, name: str, value: Value) -> None:
        """From here on it has this value; None: it is defined, as something else than a number."""
        if name not in KNOWN:
            self._values[name] = value
            self._undefined.discard(name)

    def forget(self, name: str) -> None:
        """From here on it is not known whether it is defined."""
        if name not in KNOWN and name not in UNDEFINED:
            self._values.pop(name, None)
            self._undefined.discard(name)

    def undefine(self, name: str) -> None:
        """From here on it is not defined."""
        if name not in KNOWN:
            self._values.pop(name, None)
            self._undefined.add(name)

    def defined(self, name: str) -> Value:
        """1, 0, or None."""
        if name in self._values:
            return 1
        return 0 if name in self._undefined or _DEBUG.fullmatch(name) else None

    def value(self, name: str) -> Value:
        """Its value in a condition; 0 where it is not defined."""
        return self._values[name] if name in self._values else 0 if self.defined(name) == 0 else None


def evaluate(text: str, macros: Macros) -> Value:
    """The value of the condition of ``#if``; None where it depends on what is not known, or cannot be read."""
    words = _WORDS.findall(COMMENTS.sub(" ", text.replace("\\\n", " ").replace("\\\r\n", " ")))
    parser = _Parser(words, macros)
    try:
        value = parser.conditional()
    except IndexError, ValueError, OverflowError, ZeroDivisionError, RecursionError:
        return None
    return value if parser.at == len(words) else None


class _Parser:
    def __init__(self, words: Sequence[str], macros: Macros) -> None:
        self.words, self.macros, self.at = words, macros, 0

    def _next(self) -> str:
        self.at += 1
        return self.words[self.at - 1]

    def _take(self, *words: str) -> str:
        if self.at < len(self.words) and self.words[self.at] in words:
            return self._next()
        return ""

    def conditional(self) -> Value:
        condition = self._binary(0)
        if not self._take("?"):
            return condition
        first = self.conditional()
        if not self._take(":"):
            raise ValueError("no colon")
        second = self.conditional()
        return None if condition is None else first if condition else second

    def _binary(self, level: int) -> Value:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while operator := self._take(*_LEVELS[level]):
            left = _apply(operator, left, self._binary(level + 1))
        return left

    def _unary(self) -> Value:
        if operator := self._take("!", "-", "+", "~"):
            value = self._unary()
            if value is None:
                return None
            return {"!": int(not value), "-": -value, "+": value, "~": ~value}[operator]
        if self._take("("):
            value = self.conditional()
            if not self._take(")"):
                raise ValueError("no parenthesis")
            return value
        return self._word(self._next())

    def _word(self, word: str) -> Value:
        if word == "defined":
            bracket = self._take("(")
            value = self.macros.defined(self._next())
            if bracket and not self._take(")"):
                raise ValueError("no parenthesis")
            return value
        if word[0].isdigit():
            self._suffix()
            return int(word, 8) if re.fullmatch("0[0-7]+", word) else int(word, 0)
        if word in ("true", "false"):
            return int(word == "true")
        if not (word[0].isalpha() or word[0] == "_"):
            return None if word[0] in "'\"" else self._wrong(word)
        if self._take("("):  # a macro with arguments, or __has_include
            depth = 1
            while depth:
                depth += {"(": 1, ")": -1}.get(self._next(), 0)
            return None
        return self.macros.value(word)

    def _suffix(self) -> None:
        if self.at < len(self.words) and re.fullmatch("[uUlL]{1,3}", self.words[self.at]):
            self.at += 1

    def _wrong(self, word: str) -> Value:
        raise ValueError(f"{word} is not expected")


def _apply(operator: str, left: Value, right: Value) -> Value:
    if operator in ("&&", "||"):
        decided = operator == "||"
        if any(one is not None and bool(one) == decided for one in (left, right)):
            return int(decided)
        return None if left is None or right is None else int(not decided)
    if left is None or right is None:
        return None
    match operator:
        case "==":
            return int(left == right)
        case "!=":
            return int(left != right)
        case "<":
            return int(left < right)
        case ">":
            return int(left > right)
        case "<=":
            return int(left <= right)
        case ">=":
            return int(left >= right)
        case "<<":
            return left << min(right, 64)
        case ">>":
            return left >> min(right, 64)
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left // right
        case "%":
            return left % right
        case "&":
            return left & right
        case "^":
            return left ^ right
        case _:
            return left | right

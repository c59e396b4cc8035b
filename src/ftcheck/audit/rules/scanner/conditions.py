"""Which branches of ``#if`` are compiled on free-threaded CPython 3.14.

What is known: the version, ``Py_GIL_DISABLED`` (defined), ``Py_LIMITED_API`` and other interpreters (not defined), and macros
that the file itself has defined before; macros whose names speak of debugging are taken for undefined. Everything else, such as the operating system, is unknown; then both branches are
looked at, and how often that was so is counted. Tokens of branches that are not compiled are dropped.

Where both branches are kept, tokens of kind ``branch`` mark them: ``if (a) {`` in the one and ``if (b) {`` in the other are
one brace, not two (:mod:`~.functions`).

Source: C11 6.10.1. Arithmetic is that of Python: no overflow.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ftcheck.audit.rules.scanner.tokens import BRANCH, DIRECTIVE, Token

KNOWN: dict[str, int] = {
    "PY_VERSION_HEX": 0x030E00F0,
    "PY_MAJOR_VERSION": 3,
    "PY_MINOR_VERSION": 14,
    "PY_MICRO_VERSION": 0,
    "Py_GIL_DISABLED": 1,
    "WITH_THREAD": 1,
}
"""Macros of a release of free-threaded CPython 3.14, and their values."""
UNDEFINED = frozenset(
    ("Py_LIMITED_API", "PYPY_VERSION", "PYPY_VERSION_NUM", "GRAALVM_PYTHON", "Py_DEBUG", "Py_TRACE_REFS", "RUSTPYTHON")
)
"""Macros that are not defined there."""

_DIRECTIVE = re.compile(r"#\s*([A-Za-z]+)\s*(.*)", re.DOTALL)
_COMMENTS = re.compile(r"/\*.*?(?:\*/|\Z)|//[^\n]*", re.DOTALL)
_WORDS = re.compile(r"0[xX][0-9a-fA-F]+|0[bB][01]+|\d+|[A-Za-z_]\w*|&&|\|\||[=!<>]=|<<|>>|'(?:\\.|[^'])*'|\"[^\"]*\"|\S")
_LEVELS = (("||",), ("&&",), ("|",), ("^",), ("&",), ("==", "!="), ("<", ">", "<=", ">="), ("<<", ">>"), ("+", "-"),
           ("*", "/", "%"))  # fmt: skip
_DEBUG = re.compile(r"(\w*_)?(DEBUG\w*|TRACE\w*|FUZZ\w*|COVERITY\w*|LINT|VALGRIND\w*)|__SANITIZE_\w+")
"""Macros that a release does not define, by their names, unless the file does."""
type Value = int | None
"""None: not known."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """What is left of a file.

    :param dropped: tokens in branches that are not compiled.
    :param unknown: conditions that could not be decided; both branches were looked at.
    :param macros: name to body of the macros that the file defines (the last definition of each); **defined_at**: its line.
    :param includes: what it includes, with its quotes or brackets.
    """

    tokens: Sequence[Token]
    dropped: int
    unknown: int
    macros: dict[str, str]
    includes: tuple[str, ...]
    defined_at: dict[str, int]


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
    words = _WORDS.findall(_COMMENTS.sub(" ", text.replace("\\\n", " ").replace("\\\r\n", " ")))
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
        case "==": return int(left == right)  # noqa: E701
        case "!=": return int(left != right)  # noqa: E701
        case "<": return int(left < right)  # noqa: E701
        case ">": return int(left > right)  # noqa: E701
        case "<=": return int(left <= right)  # noqa: E701
        case ">=": return int(left >= right)  # noqa: E701
        case "<<": return left << min(right, 64)  # noqa: E701
        case ">>": return left >> min(right, 64)  # noqa: E701
        case "+": return left + right  # noqa: E701
        case "-": return left - right  # noqa: E701
        case "*": return left * right  # noqa: E701
        case "/": return left // right  # noqa: E701
        case "%": return left % right  # noqa: E701
        case "&": return left & right  # noqa: E701
        case "^": return left ^ right  # noqa: E701
        case _: return left | right  # noqa: E701


@dataclass(slots=True)
class _Open:
    """An ``#if`` that has no ``#endif`` yet.

    :ivar live: the branch we are in is looked at. :ivar taken: a branch was certainly taken. :ivar marked: it is unknown, and
        has markers. :ivar certain: what is in this branch is certainly compiled.
    """

    outer_live: bool
    outer_certain: bool
    live: bool
    certain: bool
    taken: bool
    marked: bool


def compiled(tokens: Sequence[Token], *, cplusplus: bool) -> Compiled:
    """Keep what is compiled.

    :param cplusplus: the file is C++.
    """
    macros, stack = Macros(cplusplus), list[_Open]()
    kept: list[Token] = []
    bodies: dict[str, str] = {}
    includes: list[str] = []
    lines: dict[str, int] = {}
    dropped = unknown = 0
    live = certain = True
    for index, token in enumerate(tokens):
        if token.kind != DIRECTIVE:
            if live:
                kept.append(token)
            else:
                dropped += 1
            continue
        found = _DIRECTIVE.match(token.text)
        name, rest = (found[1], found[2]) if found else ("", "")
        if name in ("if", "ifdef", "ifndef"):
            value = _condition(name, rest, macros)
            if value is None and name == "ifndef" and _guards(tokens, index, rest):
                value = 1
            if live and value is None:
                unknown += 1
                kept.append(Token(BRANCH, "if", token.line, token.at))
            stack.append(_Open(live, certain, live and value != 0, certain and value == 1, value not in (0, None), value is None))
            live, certain = stack[-1].live, stack[-1].certain
        elif name in ("elif", "else", "elifdef", "elifndef") and stack:
            one = stack[-1]
            value = 1 if name == "else" else _condition(name.removeprefix("el"), rest, macros)
            if one.taken or value == 0:
                one.live = one.certain = False
            else:
                if one.outer_live and value is None and not one.marked:
                    unknown += 1
                    kept.append(Token(BRANCH, "if", token.line, token.at))
                elif one.outer_live and one.marked:
                    kept.append(Token(BRANCH, "else", token.line, token.at))
                one.live = one.outer_live
                one.certain = one.outer_certain and value == 1 and not one.marked
                one.marked = one.marked or value is None
                one.taken = value == 1
            live, certain = one.live, one.certain
        elif name == "endif" and stack:
            one = stack.pop()
            live, certain = one.outer_live, one.outer_certain
            if live and one.marked:
                kept.append(Token(BRANCH, "endif", token.line, token.at))
        elif live and name == "define":
            _define(rest, macros, bodies, certain)
            if (word := re.match(r"\w+", rest)) is not None:
                lines[word[0]] = token.line
        elif live and name == "undef":
            word = re.match(r"\w+", rest)
            if word:
                (macros.undefine if certain else macros.forget)(word[0])
        elif live and name in ("include", "include_next", "import"):
            includes.append(rest.split()[0] if rest.split() else "")
        elif live and name == "pragma":
            kept.append(token)
    return Compiled(kept, dropped, unknown, bodies, tuple(includes), lines)


def _condition(name: str, rest: str, macros: Macros) -> Value:
    if name == "if":
        return evaluate(rest, macros)
    word = re.match(r"\w+", rest)
    value = macros.defined(word[0]) if word else None
    return value if value is None or name.endswith("ifdef") else int(not value)


def _guards(tokens: Sequence[Token], index: int, name: str) -> bool:
    """Whether ``#ifndef NAME`` is followed by its ``#define``: a guard against a second inclusion, or a default."""
    after = tokens[index + 1] if index + 1 < len(tokens) else None
    found = _DIRECTIVE.match(after.text) if after is not None and after.kind == DIRECTIVE else None
    word = re.match(r"\w+", name)
    return bool(found and word and found[1] == "define" and re.match(rf"{word[0]}\b", found[2]))


def _define(rest: str, macros: Macros, bodies: dict[str, str], certain: bool) -> None:
    found = re.match(r"([A-Za-z_]\w*)(\([^)]*\))?(.*)", rest, re.DOTALL)
    if found is None:
        return
    name, arguments, body = found[1], found[2], _COMMENTS.sub(" ", found[3].replace("\\\n", " ")).strip()
    bodies[name] = f"{arguments or ''} {body}".strip()
    if not certain:
        macros.forget(name)
    elif arguments is None:
        macros.define(name, evaluate(body, macros) if body else None)
    else:
        macros.define(name, None)

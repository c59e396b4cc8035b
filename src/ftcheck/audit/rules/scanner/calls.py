"""Calls and their arguments, found by their parentheses; and splitting at commas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ftcheck.audit.rules.scanner.tokens import NAME, Token

KEYWORDS = frozenset(
    [
        "if",
        "else",
        "for",
        "while",
        "do",
        "switch",
        "case",
        "default",
        "return",
        "goto",
        "break",
        "continue",
        "sizeof",
        "alignof",
        "typeof",
        "__typeof__",
        "decltype",
        "defined",
        "throw",
        "try",
        "catch",
        "new",
        "delete",
        "static_assert",
        "_Static_assert",
        "_Generic",
        "asm",
        "__asm__",
        "noexcept",
        "alignas",
        "_Alignas",
        "and",
        "or",
        "not",
        "static_cast",
        "const_cast",
        "reinterpret_cast",
        "dynamic_cast",
        "operator",
        "co_await",
        "co_return",
        "co_yield",
    ]
)
type Span = tuple[int, int]
"""Tokens from the first to before the second."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call, or a use of a macro with arguments.

    :param index: of the token of its name, **end**: of its closing parenthesis.
    :param member: it is called through an object (``x->name()``, ``x.name()``).
    """

    name: str
    index: int
    end: int
    args: tuple[Span, ...]
    line: int
    member: bool


def split(code: Sequence[Token], begin: int, end: int) -> Iterator[Span]:
    """The parts between commas that are in no brackets of their own; none where there is nothing."""
    depth, start = 0, begin
    for index in range(begin, end):
        text = code[index].text
        if text in ("(", "[", "{"):
            depth += 1
        elif text in (")", "]", "}"):
            depth -= 1
        elif text == "," and depth == 0:
            yield (start, index)
            start = index + 1
    if start < end or start > begin:
        yield (start, end)


@dataclass(slots=True)
class _Bracket:
    name: int  # index of the token of the call's name; -1: these brackets are no call
    start: int
    args: list[Span]


def calls_in(code: Sequence[Token], begin: int, end: int) -> Iterator[Call]:
    """The calls between two tokens, in the order of their names."""
    stack: list[_Bracket] = []
    found: list[Call] = []
    for index in range(begin, end):
        token = code[index]
        text = token.text
        if text == "(":
            before = code[index - 1]
            called = before.kind == NAME and before.text not in KEYWORDS
            stack.append(_Bracket(index - 1 if called else -1, index + 1, []))
        elif text in ("[", "{"):
            stack.append(_Bracket(-1, index + 1, []))
        elif text == "," and stack:
            stack[-1].args.append((stack[-1].start, index))
            stack[-1].start = index + 1
        elif text in (")", "]", "}") and stack:
            one = stack.pop()
            if one.name >= 0 and text == ")":
                if one.start < index or one.args:
                    one.args.append((one.start, index))
                name = code[one.name]
                member = code[one.name - 1].text in ("->", ".")
                found.append(Call(name.text, one.name, index, tuple(one.args), name.line, member))
    return iter(sorted(found, key=lambda call: call.index))

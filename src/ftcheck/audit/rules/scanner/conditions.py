"""Which branches of ``#if`` are compiled on free-threaded CPython 3.14.

What is known: the version, ``Py_GIL_DISABLED`` (defined), ``Py_LIMITED_API`` and other interpreters (not defined), and
macros that the file itself has defined before; macros whose names speak of debugging are taken for undefined.
Everything else, such as the operating system, is unknown; then both branches are looked at, and how often that was so
is counted. Tokens of branches that are not compiled are dropped.

Where both branches are kept, tokens of kind ``branch`` mark them: ``if (a) {`` in the one and ``if (b) {`` in the other are
one brace, not two (:mod:`~.functions`).

Source: C11 6.10.1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ftcheck.audit.rules.scanner.macros import COMMENTS, Macros, Value, evaluate
from ftcheck.audit.rules.scanner.tokens import BRANCH, DIRECTIVE, Token

_DIRECTIVE = re.compile(r"#\s*([A-Za-z]+)\s*(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Compiled:
    """What is left of a file.

    :param dropped: tokens in branches that are not compiled.
    :param unknown: conditions that could not be decided; both branches were looked at.
    :param macros: name to body of the macros that the file defines (the last definition of each); **defined_at**: its line.
    :param dead: first and last lines of branches that are not compiled.
    :param includes: what it includes, with its quotes or brackets.
    """

    tokens: Sequence[Token]
    dropped: int
    unknown: int
    macros: dict[str, str]
    includes: tuple[str, ...]
    defined_at: dict[str, int]
    dead: tuple[tuple[int, int], ...]

    def is_dead(self, line: int) -> bool:
        """Whether a line is in a branch that is not compiled."""
        return any(first <= line <= last for first, last in self.dead)


@dataclass(slots=True)
class _Open:
    """An ``#if`` that has no ``#endif`` yet.

    :ivar live: the branch we are in is looked at. :ivar taken: a branch was certainly taken. :ivar marked: it is
        unknown, and has markers. :ivar certain: what is in this branch is certainly compiled.
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
    dead: list[tuple[int, int]] = []
    began = 0  # the line of the directive that began what is not compiled
    for index, token in enumerate(tokens):
        if token.kind != DIRECTIVE:
            if live:
                kept.append(token)
            else:
                dropped += 1
            continue
        if began and not live:
            dead.append((began, token.line))
        began = token.line
        found = _DIRECTIVE.match(token.text)
        name, rest = (found[1], found[2]) if found else ("", "")
        if name in ("if", "ifdef", "ifndef"):
            value = _condition(name, rest, macros)
            if value is None and name == "ifndef" and _guards(tokens, index, rest):
                value = 1
            if live and value is None:
                unknown += 1
                kept.append(Token(BRANCH, "if", token.line, token.at))
            stack.append(
                _Open(live, certain, live and value != 0, certain and value == 1, value not in (0, None), value is None)
            )
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
    return Compiled(kept, dropped, unknown, bodies, tuple(includes), lines, tuple(dead))


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
    name, arguments, body = found[1], found[2], COMMENTS.sub(" ", found[3].replace("\\\n", " ")).strip()
    bodies[name] = f"{arguments or ''} {body}".strip()
    if not certain:
        macros.forget(name)
    elif arguments is None:
        macros.define(name, evaluate(body, macros) if body else None)
    else:
        macros.define(name, None)

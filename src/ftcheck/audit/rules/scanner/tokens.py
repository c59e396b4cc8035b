"""C and C++ text as tokens with their lines, comments apart.

One regular expression does it, in the order in which a compiler reads: comments, directives, strings (raw ones of C++ too),
numbers, names, the rest. A line that ends with a backslash goes on in the next one. Nothing is ever wrong for it: a quote
that has no end ends with its line, a comment that has none ends with the file.

Source: translation phases 2 and 3 of C11 (5.1.1.2) and C++17 ([lex.phases]); deviation: a name that is split by a backslash
at the end of a line is read as two.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

NAME, NUMBER, STRING, PUNCT, DIRECTIVE = "name", "number", "string", "punct", "directive"
BRANCH = "branch"
"""Kind of a token that :mod:`~.conditions` leaves where it could not decide: its text is ``if``, ``else`` or ``endif``."""

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\f\v]+|\\\r?\n)
  | (?P<newline>\n)
  | (?P<comment>//(?:\\\r?\n|[^\n])*|/\*.*?(?:\*/|\Z))
  | (?P<directive>\#(?:\\\r?\n|/\*.*?(?:\*/|\Z)|[^\n\\/]+|[^\n])*)
  | (?P<raw>(?:u8|[uUL])?R"(?P<fence>[^()\\\s"]{0,16})\(.*?\)(?P=fence)")
  | (?P<string>(?:u8|[uUL])?"(?:\\.|[^"\\\n])*(?:"|(?=\n)|\Z)|(?:u8|[uUL])?'(?:\\.|[^'\\\n])*(?:'|(?=\n)|\Z))
  | (?P<number>\.?[0-9](?:[eEpP][+-]|'(?=\w)|[\w.])*)
  | (?P<name>[A-Za-z_$\u0080-\U0010ffff][\w$]*)
  | (?P<punct>->\*?|\+\+|--|<<=|>>=|<=|>=|==|!=|&&|\|\||::|[-+*/%&|^]=|\.\.\.|\#\#?|.)
    """,
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """One token of code.

    :param line: from 1.
    :param at: the offset into the text, in characters.
    """

    kind: str
    text: str
    line: int
    at: int


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment.

    :param line: of its first line, **last**: of its last one; from 1.
    :param alone: no code stands before it in its line.
    """

    text: str
    line: int
    last: int
    alone: bool


@dataclass(frozen=True, slots=True)
class Text:
    """A file as read.

    :param lines: its number of lines.
    """

    source: str
    tokens: Sequence[Token]
    comments: Sequence[Comment]
    lines: int

    def line(self, number: int) -> str:
        """That line, from 1, without the white space around it; empty where there is none."""
        every = self.source.split("\n", number)
        return every[number - 1].strip() if 0 < number <= len(every) else ""


def read(source: str) -> Text:
    """The tokens and the comments of C or C++ text.

    Directives are single tokens. They count as such only at the beginning of a line; elsewhere ``#`` is punctuation.
    """
    starts = [0, *(found.end() for found in re.finditer("\n", source))]
    tokens: list[Token] = []
    comments: list[Comment] = []
    fresh, at, end = True, 0, len(source)  # fresh: no token in this line so far
    match = _TOKEN.match
    while at < end:
        found = match(source, at)
        assert found is not None  # the last alternative takes any character
        kind = found.lastgroup
        if kind == "directive" and not fresh:
            kind, text, after = "punct", "#", at + 1
        else:
            text, after = found[0], found.end()
        if kind == "newline":
            fresh = True
        elif kind == "comment":
            line = bisect_right(starts, at)
            comments.append(Comment(text, line, bisect_right(starts, max(at, after - 1)), fresh))
        elif kind != "space":
            if kind in ("raw", "fence"):
                kind = STRING
            tokens.append(Token(kind or PUNCT, text, bisect_right(starts, at), at))
            fresh = False
        at = after
    return Text(source, tokens, comments, len(starts) - (1 if source.endswith("\n") or not source else 0))

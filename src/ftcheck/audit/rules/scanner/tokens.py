"""C and C++ text as tokens with their lines, comments apart.

One regular expression does it, in the order in which a compiler reads: comments, directives, strings (raw ones of C++ too),
numbers, names, the rest. A line that ends with a backslash goes on in the next one. Nothing is ever wrong for it: a quote
that has no end ends with its line, a comment that has none ends with the file.

Source: translation phases 2 and 3 of C11 (5.1.1.2) and C++17 ([lex.phases]); deviation: a name that is split by a backslash
at the end of a line is read as two.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

NAME, NUMBER, STRING, PUNCT, DIRECTIVE = "name", "number", "string", "punct", "directive"
BRANCH = "branch"
"""Kind of a token that :mod:`~.conditions` leaves where it could not decide: its text is ``if``, ``else`` or ``endif``."""

_TOKEN = re.compile(
    r"""
    (?P<directive>^[ \t]*\#(?:\\\n|/\*.*?(?:\*/|\Z)|[^\n\\/]+|[^\n])*)
  | (?:[ \t\f\v]+|\\\n)*
    (?: (?P<name>[A-Za-z_$\u0080-\U0010ffff][\w$]*+(?!["']|(?<=R)"))
      | (?P<newline>\n)
      | (?P<comment>//(?:\\\n|[^\n])*|/\*.*?(?:\*/|\Z))
      | (?P<number>\.?[0-9](?:[eEpP][+-]|'(?=\w)|[\w.])*)
      | (?P<raw>(?:u8|[uUL])?R"(?P<fence>[^()\\\s"]{0,16})\(.*?\)(?P=fence)")
      | (?P<string>(?:u8|[uUL])?"(?:\\.|[^"\\\n])*(?:"|(?=\n)|\Z)|(?:u8|[uUL])?'(?:\\.|[^'\\\n])*(?:'|(?=\n)|\Z))
      | (?P<word>[A-Za-z_$\u0080-\U0010ffff][\w$]*)
      | (?P<punct>->\*?|\+\+|--|<<=|>>=|<=|>=|==|!=|&&|\|\||::|[-+*/%&|^]=|\.\.\.|\#\#?|[^\s\\]|\\)
      | (?P<end>\Z)
      | (?P<other>.)
    )
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
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
    source = source.replace("\r\n", "\n") if "\r" in source else source
    tokens: list[Token] = []
    comments: list[Comment] = []
    line, last = 1, 0  # last: the line of the token before
    add, new = tokens.append, Token
    for found in _TOKEN.finditer(source):
        kind = found.lastgroup
        if kind == "name" or kind == "punct" or kind == "number":
            text = found[kind]
            space = found.end() - found.start() - len(text)
            if space and "\n" in found[0]:
                line += found[0].count("\n")
            add(new(kind, text, line, found.end() - len(text)))
            last = line
            continue
        if kind is None or kind in ("end", "other"):
            continue
        text = found[kind]
        whole = found[0]
        before = whole.count("\n", 0, len(whole) - len(text)) if "\n" in whole else 0
        line += before
        inside = text.count("\n")
        if kind == "comment":
            comments.append(Comment(text, line, line + inside, last != line))
        elif kind == "directive":
            add(new(DIRECTIVE, text.lstrip(), line, found.end() - len(text.lstrip())))
            last = line
        elif kind != "newline":
            add(new(NAME if kind == "word" else STRING, text, line, found.end() - len(text)))
            last = line + inside
        line += inside
    return Text(source, tokens, comments, source.count("\n") + (0 if source.endswith("\n") or not source else 1))

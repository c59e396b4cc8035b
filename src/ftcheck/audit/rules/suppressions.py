"""``ftcheck: ignore[FT103] why`` in a comment: the finding is known, and here is why it is none.

It holds for its own line, or, where the comment stands alone, for the next line that has code. Several ids are separated by
commas. Without a reason, or for a rule that does not exist, it does nothing, and is itself reported (FT901, FT902).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ftcheck.audit.rules.scanner.tokens import Comment
from ftcheck.audit.rules.words import Hit

_MARK = re.compile(r"ftcheck:\s*ignore\[([^\]]*)\][ \t]*([^\n]*)")


@dataclass(frozen=True, slots=True)
class Suppression:
    """One comment.

    :param lines: the lines that it holds for.
    """

    rules: frozenset[str]
    reason: str
    lines: tuple[int, ...]


def read(
    path: Path, comments: Iterable[Comment], source: str, known: Collection[str]
) -> tuple[list[Suppression], list[Hit]]:
    """The comments of a file that suppress something, and what is wrong with those that do not.

    :param known: ids of rules.
    """
    found: list[Suppression] = []
    wrong: list[Hit] = []
    lines = source.split("\n")
    for comment in comments:
        for mark in _MARK.finditer(comment.text):
            line = comment.line + comment.text.count("\n", 0, mark.start())
            ids = {one.strip() for one in mark[1].split(",") if one.strip()}
            reason = mark[2].removesuffix("*/").strip(" \t*-:")
            wrong += (
                Hit("FT902", path, line, "", f"there is no rule {one}")
                for one in sorted(ids - set(known)) or ([""] if not ids else [])
            )
            if not reason:
                wrong.append(Hit("FT901", path, line, "", "no reason is given, so it is not ignored"))
            elif ids & set(known):
                found.append(Suppression(frozenset(ids & set(known)), reason, tuple(_lines(comment, lines))))
    return found, wrong


def _lines(comment: Comment, lines: list[str]) -> Iterator[int]:
    yield from range(comment.line, comment.last + 1)
    if comment.alone:
        after = comment.last
        while after < len(lines) and not lines[after].strip():
            after += 1
        yield after + 1


def reason(suppressions: Iterable[Suppression], rule: str, line: int) -> str:
    """Why a finding is suppressed; empty: it is not."""
    return next((one.reason for one in suppressions if rule in one.rules and line in one.lines), "")

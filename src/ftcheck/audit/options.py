"""What ``ftcheck audit`` is asked for, as values; and the errors that end it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class AuditError(Exception):
    """It cannot be done. The message says what is wrong, and what to do.

    :param status: the exit status: 2 for wrong usage, 3 for what cannot be done.
    """

    def __init__(self, text: str, status: int = 3) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Options:
    """All choices.

    :param python: the interpreter to ask; empty: this one.
    :param run: whether code may be run: ``PyInit_`` functions, and imports.
    :param timeout: seconds that one module may take.
    :param jobs: child processes at the same time.
    :param offline: ask no index.
    :param follow: of a list of requirements, also what they require in turn.
    :param tested: reports of ftcheck, each with the distributions that its tests are about.
    :param rules: whether source trees are read by the source rules, in at most **rules_timeout** seconds each.
    """

    python: str = ""
    run: bool = True
    subinterpreters: bool = False
    timeout: float = 60.0
    jobs: int = 2
    offline: bool = False
    follow: bool = True
    tested: tuple[tuple[str, Path], ...] = ()
    rules: bool = True
    rules_timeout: float = 300.0

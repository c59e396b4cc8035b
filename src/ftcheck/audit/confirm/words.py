"""The words of confirming: a callable to try, a workload, its runs, and what came of them. Frozen values of plain data."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass, field


class Kind(enum.StrEnum):
    """What threads do together."""

    MUTATED = "mutated"
    OBJECT = "object"
    FIRST = "first"
    OWN = "own"

    @property
    def words(self) -> str:
        """What that is."""
        return {
            Kind.MUTATED: "some threads call it with a container that the others change",
            Kind.OBJECT: "all threads call the methods of one object",
            Kind.FIRST: "all threads call it at once, for the first time in their process",
            Kind.OWN: "all threads call it, each with an argument of its own",
        }[self]


class Verdict(enum.StrEnum):
    """What is known after the runs."""

    CRASH = "confirmed: crashes only without the GIL"
    HANG = "confirmed: does not end, only without the GIL"
    WRONG = "confirmed: wrong result, only without the GIL"
    OPEN = "seen without the GIL; whether with it, too, is open"
    WITH_GIL = "crashes with the GIL, too"
    ALONE = "crashes in one thread, too"
    NOT_REPRODUCED = "not reproduced"
    NOT_CHECKED = "not checked"

    @property
    def found(self) -> bool:
        """Whether something was seen to go wrong."""
        return self not in (Verdict.NOT_REPRODUCED, Verdict.NOT_CHECKED)


@dataclass(frozen=True, slots=True)
class Place:
    """A finding of a source rule, or a static variable that is written.

    :param rule: its id; ``static``: of a variable.
    :param function: the C function, and **path**, **line**: where it is. Empty: of a variable nobody knows where it is used.
    :param code: the line of code; of a variable its name.
    """

    rule: str
    path: str
    line: int
    function: str
    code: str = ""

    def __str__(self) -> str:
        if not self.path:
            return f"{self.rule} {self.code}"
        if self.rule == "static":
            return f"{self.rule} {self.code}, used in {self.function} ({self.path}:{self.line})"
        return f"{self.rule} {self.path}:{self.line} in {self.function}"


@dataclass(frozen=True, slots=True)
class Reached:
    """How Python comes to a place.

    :param function: the C function of a method table, **method**: its name there.
    :param way: the functions from the place to it.
    """

    place: Place
    function: str
    method: str
    way: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Workload:
    """A program that threads run.

    :param callable: the dotted name of what is called, ``pkg.module.Type.method``.
    :param calls: the expressions that are called, of ``n`` (the number of the thread), ``shared`` and ``thing``.
    :param container: the expression that makes ``shared``, **changes** its kind: ``dict``, ``list``, ``bytearray``.
    :param thing: the expression that makes the object whose methods are called.
    :param module: what is imported.
    """

    kind: Kind
    callable: str
    module: str
    calls: tuple[str, ...]
    container: str = ""
    changes: str = ""
    thing: str = ""
    threads: int = 4
    seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Run:
    """One process.

    :param gil: whether the GIL was on, as the process said; None: it did not come to say so.
    :param ended: ``"well"``; a signal's name; ``"hang"``; ``"status 3"``.
    :param wrong: results that differ from those alone, with an example each.
    :param stack: C functions and offsets where it crashed, innermost first, as far as they are known.
    """

    forced_gil: bool
    ended: str
    gil: bool | None = None
    calls: int = 0
    raised: tuple[tuple[str, int], ...] = ()
    wrong: tuple[str, ...] = ()
    compared: bool = False
    seconds: float = 0.0
    stack: tuple[str, ...] = ()
    output: str = ""

    @property
    def crashed(self) -> bool:
        """Whether a signal ended it."""
        return self.ended.startswith("SIG")


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a workload, or of a callable for which there is none.

    :param places: what it is about. :param why: one line that says what the verdict rests on.
    """

    verdict: Verdict
    callable: str
    why: str
    places: tuple[Reached, ...] = ()
    workload: Workload | None = None
    runs: tuple[Run, ...] = field(default=(), repr=False)

    @property
    def stack(self) -> tuple[str, ...]:
        """Where it crashed, in most of the crashes without the GIL."""
        seen = Counter(run.stack for run in self.runs if run.crashed and not run.forced_gil and run.stack)
        return seen.most_common(1)[0][0] if seen else ()


class ConfirmError(Exception):
    """It cannot be done; says what to do.

    :param status: 2 wrong usage, 3 it cannot be done.
    """

    def __init__(self, text: str, status: int = 3) -> None:
        super().__init__(text)
        self.status = status

"""The words of the audit: what was looked at, what was seen, what follows. Frozen values of plain data.

A row is a distribution, and has a row for each of its extension modules. What is known of a row besides its verdict is a
list of :class:`Remark` values, each of some kind; another kind needs nothing here but its name.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from ftcheck.audit.binary import Binary
from ftcheck.audit.slot_bytes import Slots


class Readiness(enum.Enum):
    """A verdict; the worst first. What is declared is a claim of its authors, and ``NOT_CHECKED`` is never a pass."""

    FAILED = "failed"
    NOT_INSTALLABLE = "not installable"
    TURNS_GIL_ON = "undeclared: turns the GIL on"
    NOT_CHECKED = "not checked"
    DECLARED = "declared, untested"
    TESTED = "tested"
    PURE = "pure Python"

    @property
    def needs_attention(self) -> bool:
        """Whether somebody has to do something about it."""
        return self in (Readiness.FAILED, Readiness.NOT_INSTALLABLE, Readiness.TURNS_GIL_ON)


_RANK = {readiness: rank for rank, readiness in enumerate(Readiness)}


def worst(some: Iterable[Readiness]) -> Readiness:
    """The worst of some verdicts.

    :raises ValueError: there are none.
    """
    return min(some, key=_RANK.__getitem__)


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to know about a row.

    :param kind: ``"classifier"``, ``"metadata"``, ``"library"``, ``"libc"``, ``"import"``, ``"file"``...
    :param attention: somebody has to do something about it.
    :param place: a file, or a file and a line, where that helps.
    :param rule: the id under which the same is known everywhere, ``"FT001"``; empty: it has none.
    """

    kind: str
    text: str
    attention: bool = False
    place: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """What a source rule has found, tier A or B, with nothing that suppresses it.

    :param file: relative to the folder that was read.
    :param gates: it makes the exit status 1.
    """

    rule: str
    file: str
    line: int
    function: str
    text: str
    tier: str
    gates: bool


@dataclass(frozen=True, slots=True)
class Sources:
    """What the source rules say of a distribution, and what they looked at.

    :param places: those that make the exit status 1 first.
    :param notes: findings of tier C, and **suppressed** ones: how many.
    :param files: that were looked at; **skipped**: that were not.
    :param unchecked: rules that were not looked for.
    :param problem: why nothing was looked at; empty: something was.
    """

    places: tuple[Place, ...] = ()
    notes: int = 0
    suppressed: int = 0
    files: int = 0
    functions: int = 0
    calls: int = 0
    lines: int = 0
    skipped: int = 0
    unchecked: tuple[str, ...] = ()
    seconds: float = 0.0
    problem: str = ""

    @property
    def gating(self) -> tuple[Place, ...]:
        """Those that make the exit status 1."""
        return tuple(one for one in self.places if one.gates)


@dataclass(frozen=True, slots=True)
class Called:
    """What calling ``PyInit_`` gave.

    :param slots: None: none could be read off.
    :param phase: of the initialisation, as it turned out; empty: not known.
    :param problem: why it gave nothing.
    """

    slots: Slots | None = None
    phase: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Requires:
    """A module that requires the GIL, as the interpreter said it.

    :param chain: the modules that were being imported, the outermost first.
    """

    module: str
    chain: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Imported:
    """What a real import gave.

    :param gil: whether the GIL was on after it; None: not known, because it was on before, or could not be asked.
    :param requires: modules that turned it on, in this import, the module itself among them or not.
    :param problem: why the import failed; empty: it did not.
    :param missing: the module that was not found, where that is why.
    :param died: how it took its process with it.
    :param seconds: that it took.
    """

    gil: bool | None = None
    requires: tuple[Requires, ...] = ()
    problem: str = ""
    missing: str = ""
    died: str = ""
    output: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class InSubinterpreter:
    """What an import in an interpreter with a GIL of its own gave.

    :param refuses: the module that does not support it, where one said so: this one or one that it needs.
    """

    problem: str = ""
    refuses: str = ""
    died: str = ""


@dataclass(frozen=True, slots=True)
class Module:
    """One extension module.

    :param name: as it is imported; empty: it cannot be imported by any name.
    :param file: relative to the folder that is in ``sys.path``.
    :param what: behind the verdict: what failed, or by what it was tested.
    :param evidence: what the verdict rests on, the strongest first.
    :param called: None: it was not called, and **not_run** says why; the same with **imported** and **subinterpreter**.
    """

    name: str
    file: str
    readiness: Readiness
    what: str
    evidence: tuple[str, ...]
    binary: Binary
    called: Called | None = None
    imported: Imported | None = None
    subinterpreter: InSubinterpreter | None = None
    not_run: str = ""
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True)
class Distribution:
    """One row.

    :param name: empty: files that belong to none.
    :param version: empty: not known.
    :param folder: where it is.
    :param tags: of the wheel it was installed from, or of a wheel.
    :param classifier: its claim, ``"3 - Stable"`` (``Programming Language :: Python :: Free Threading``); empty: none.
    :param needed_by: distributions that require it.
    :param libraries: shared objects that are no modules.
    :param asked_for: the text of the requirement, in a list of requirements.
    :param sources: what the source rules say; None: they were not asked.
    """

    name: str
    version: str
    readiness: Readiness
    what: str = ""
    evidence: tuple[str, ...] = ()
    folder: str = ""
    tags: tuple[str, ...] = ()
    classifier: str = ""
    needed_by: tuple[str, ...] = ()
    modules: tuple[Module, ...] = ()
    libraries: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()
    asked_for: str = ""
    sources: Sources | None = None

    @property
    def needs_attention(self) -> bool:
        """Whether somebody has to do something about it."""
        return self.readiness.needs_attention or any(one.attention for one in self.all_remarks)

    @property
    def all_remarks(self) -> tuple[Remark, ...]:
        """Its own and those of its modules."""
        return (*self.remarks, *(remark for module in self.modules for remark in module.remarks))


@dataclass(frozen=True, slots=True)
class Interpreter:
    """Which one was asked, or is meant.

    :param executable: empty: none was run.
    :param target: the ABI tag that is asked about, ``"cp314t"``.
    """

    executable: str
    version: str
    free_threaded: bool
    target: str
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Audit:
    """All of it.

    :param subject: what was looked at, in words.
    :param interpreter: None: there is none that could be asked.
    :param rows: the worst first.
    :param troubles: what could not be looked at: unreadable folders, sources that did not answer.
    :param limits: what was cut short, or not done, and how to have it.
    :param asked: index pages that were asked for.
    :param requirements: the rows are requirements, of which nothing but the names of files is known.
    :param followed: so many of these the list does not name: what it names requires them.
    :param subinterpreters: whether imports were tried in interpreters of their own.
    """

    subject: str
    interpreter: Interpreter | None
    rows: tuple[Distribution, ...]
    troubles: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    asked: int = 0
    requirements: bool = False
    followed: int = 0
    subinterpreters: bool = False
    seconds: float = 0.0

    @property
    def modules(self) -> tuple[Module, ...]:
        """All extension modules."""
        return tuple(module for row in self.rows for module in row.modules)

    def count(self, readiness: Readiness) -> int:
        """How many rows have this verdict."""
        return sum(row.readiness is readiness for row in self.rows)

    @property
    def needs_attention(self) -> bool:
        """Whether somebody has to do something."""
        return any(row.needs_attention for row in self.rows)

    @property
    def decided(self) -> bool:
        """Whether anything was found out of any row."""
        return any(row.readiness is not Readiness.NOT_CHECKED for row in self.rows)

"""The words of the source rules: a rule, a finding, and what was looked at. Frozen values of plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

type Tier = Literal["A", "B", "C"]
type Needs = Literal["text", "clang"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule.

    :param id: stable: ``FT103``. It never means anything else.
    :param name: its short name: ``dict-next-unlocked``.
    :param tier: what it claims. A: by itself a flaw; B: a flaw if the object is shared; C: worth knowing.
    :param title: what was seen, one line; **why** that goes wrong without the GIL; **instead**: what to write.
    :param bad, good: an example of each.
    :param limits: what it takes for a flaw that is none, and what it cannot see.
    :param source: where it is documented.
    :param languages: ``C`` (and C++), ``Python``, ``Cython``.
    :param needs: ``clang``: only looked for with libclang.
    """

    id: str
    name: str
    tier: Tier
    title: str
    why: str
    instead: str
    bad: str
    good: str
    limits: str
    source: str
    languages: tuple[str, ...] = ("C",)
    needs: Needs = "text"


@dataclass(frozen=True, slots=True)
class SourceFinding:
    """A place in source code that a rule is about.

    :param line: from 1. :param function: the one that it is in; empty: none.
    :param message: what was seen there, and what to do, in one line.
    :param fingerprint: stays the same when lines above move (:mod:`~.fingerprints`).
    :param suppressed: the reason that the code or the baseline gives for it; empty: not suppressed.
    :param code: the line itself.
    :param gates: it makes the command's exit status 1.
    """

    rule: str
    path: str
    line: int
    function: str
    message: str
    tier: Tier
    fingerprint: str
    suppressed: str = ""
    code: str = ""
    gates: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """What was not looked at, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Looked:
    """What was looked at: the denominator.

    :param files: by language.
    :param functions: with a body; **calls**: in them, **resolved**: those to functions of the scanned files.
    :param lines: of text. :param dropped: tokens in branches that 3.14t does not compile.
    :param undecided: ``#if`` whose branches were both looked at.
    :param skipped: files that were not looked at. :param unchecked: rules that were not looked for, with the reason.
    :param seconds: how long it took.
    """

    files: Mapping[str, int] = field(default_factory=dict)
    functions: int = 0
    calls: int = 0
    resolved: int = 0
    lines: int = 0
    dropped: int = 0
    undecided: int = 0
    recovered: int = 0
    skipped: tuple[Skipped, ...] = ()
    unchecked: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0

    @property
    def total(self) -> int:
        """Files that were looked at."""
        return sum(self.files.values())


@dataclass(frozen=True, slots=True)
class Scan:
    """What came of a scan.

    :param findings: by path and line; suppressed ones too.
    """

    findings: tuple[SourceFinding, ...]
    looked: Looked

    @property
    def active(self) -> tuple[SourceFinding, ...]:
        """Findings that nothing suppresses."""
        return tuple(one for one in self.findings if not one.suppressed)

    @property
    def gating(self) -> tuple[SourceFinding, ...]:
        """Those that make the exit status 1."""
        return tuple(one for one in self.active if one.gates)


@dataclass(frozen=True, slots=True)
class Hit:
    """What a rule hands over: the rest of a finding is worked out from it.

    :param tier: of this one place; empty: that of the rule.
    """

    rule: str
    path: Path
    line: int
    function: str
    message: str
    tier: Tier | None = None

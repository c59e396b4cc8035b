"""The words every room of ftcheck speaks: verdicts, failures of threads, findings; coverage has a file of its own.

This is the ground floor: it knows neither pytest nor any engine. All values are frozen and made of plain data, so that they
survive the way from a worker process to the one that prints them (:func:`to_plain`, :func:`finding_from_plain`). Only
:class:`ThreadFailure` holds a live exception; an engine turns those into :class:`FailureGroup` values before they travel.
"""

from __future__ import annotations

import dataclasses
import enum
import os
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ftcheck.coverage import Coverage, counted, coverage_from_plain
from ftcheck.locations import Location as Location


class Verdict(enum.Enum):
    """What is known of one test after a run; the worst first.

    The order is the rule for combining several observations of one test: :func:`worst` wins, so a skip in one thread
    never hides a failure in another. ``NOT_CHECKED`` is a test that ran, but not concurrently: it is never a pass.
    """

    CRASH = "crash"
    HANG = "hang"
    DEADLOCK = "deadlock"
    FAILURE = "failure"
    ERROR = "error"
    DATA_RACE = "data race"
    GIL_ENABLED = "GIL re-enabled"
    SKIPPED = "skipped"
    EXPECTED_FAILURE = "expected failure"
    NOT_CHECKED = "not checked"
    PASSED = "passed"

    @property
    def rank(self) -> int:
        """Position from the worst (0) to the best."""
        return _RANK[self]

    @property
    def is_finding(self) -> bool:
        """Whether a test with this verdict fails the run."""
        return self.rank <= _RANK[Verdict.GIL_ENABLED]


_RANK = {verdict: rank for rank, verdict in enumerate(Verdict)}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of some verdicts.

    :raises ValueError: there are none.
    """
    return min(verdicts, key=lambda verdict: verdict.rank)


@dataclass(frozen=True, slots=True)
class ThreadFailure:
    """One exception that one thread raised, with where and when it did.

    :param thread: the number of the thread, from 0; -1 for what all threads share, and for threads that are not ours.
    :param round: the number of the round, from 1.
    :param phase: ``"set-up"``, ``"body"`` or ``"teardown"``: of the thread's own part of the round; ``"background"``
        for what reached :data:`sys.unraisablehook` or :data:`threading.excepthook`; ``"harness"`` for a fault of ours.
    """

    thread: int
    round: int
    phase: str
    exception: BaseException


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """The failures that share a type and a traceback, counted.

    :param kind: the exception's qualified type name.
    :param message: the first one's message, shortened to its first lines.
    :param count: how many failures there were.
    :param threads: the threads that had it.
    :param rounds: the rounds in which it came up.
    """

    kind: str
    message: str
    phase: str
    count: int
    threads: tuple[int, ...]
    rounds: tuple[int, ...]
    location: Location | None = None

    @property
    def headline(self) -> str:
        """``KeyError: 'x'``: the type and the first line of the message."""
        first = self.message.splitlines()[0] if self.message else ""
        return f"{self.kind}: {first}" if first else self.kind


class RelianceKind(enum.Enum):
    """What the reruns of a failing test say about its relation to the GIL; decided in :mod:`ftcheck.reliance`."""

    GIL_RELIANT = "GIL-reliant"
    THREAD_UNSAFE = "thread-unsafe with or without the GIL"
    THREAD_UNSAFE_WITH = "thread-unsafe with the GIL"
    THREAD_UNSAFE_WITHOUT = "thread-unsafe without the GIL"
    FAILS_ALONE = "fails alone"
    NOT_REPRODUCED = "not reproduced"
    NOT_CLASSIFIED = "not classified"


@dataclass(frozen=True, slots=True)
class Rerun:
    """What came of a failing test when it was run again, in one mode, in a fresh interpreter.

    :param mode: ``"alone"``, ``"without the GIL"`` or ``"with the GIL"``.
    :param rounds: that were run; 0 where none tells anything, and then ``note`` says why.
    :param overlapped: rounds in which two threads ran at the same time.
    :param note: what else there is to know, in a few words.
    """

    mode: str
    failed: int = 0
    rounds: int = 0
    overlapped: int = 0
    note: str = ""

    @property
    def text(self) -> str:
        """``with the GIL 0 of 61 rounds (35 overlapped)``; a mode that could not be run says why instead."""
        if not self.rounds:
            return f"{self.mode} not known ({self.note or 'not run'})"
        remarks = [self.note] if self.note else []
        if self.mode != "alone" and not self.failed and self.overlapped < self.rounds:
            remarks.insert(0, f"{self.overlapped} overlapped")
        text = f"{self.mode} {self.failed} of {counted(self.rounds, 'round')}"
        return f"{text} ({'; '.join(remarks)})" if remarks else text


@dataclass(frozen=True, slots=True)
class Reliance:
    """Whether a failure relies on the GIL being off, and what that rests on.

    :param text: one line: the kind, and what limits it.
    """

    kind: RelianceKind
    reruns: tuple[Rerun, ...]
    text: str

    @property
    def rates(self) -> str:
        """How often it failed in each mode; empty where it was not run again, or the text says it already."""
        rates = ", ".join(rerun.text for rerun in self.reruns)
        return "" if rates in self.text else rates


@dataclass(frozen=True, slots=True)
class Finding:
    """What an engine, or the harness, found about one or more tests.

    :param tests: node ids; more than one where a shared fixture's teardown accuses all who used it.
    :param headline: one line: what happened.
    :param groups: the failures, the most frequent first.
    :param detail: further text, several lines: every thread's stack at a crash, the module that turned the GIL on.
    :param phase: ``"setup"``, ``"call"``, ``"teardown"``, ``"between"`` (after a test), ``"collection"``, ``"finish"`` (the
        end of the session), ``"end"`` (after it) or ``"exit"`` (of the interpreter).
    :param round: in which the process died or stopped making progress, from 1; 0 where it was in no round.
    :param reliance: what reruns say about the GIL; None where nobody asked for them, or they make no sense.
    :param replay: the token of the interleaving in which it showed; empty where there is none.
    """

    verdict: Verdict
    tests: tuple[str, ...]
    headline: str
    phase: str = "call"
    groups: tuple[FailureGroup, ...] = ()
    coverage: Coverage | None = None
    detail: str = ""
    round: int = 0
    reliance: Reliance | None = None
    replay: str = ""

    @property
    def can_be_classified(self) -> bool:
        """Whether it makes sense to run the test again to see if this relies on the GIL."""
        if self.coverage is not None and self.coverage.interleavings is not None:
            return False  # found under control, where it does not matter
        if self.coverage is not None and self.coverage.interpreters:
            return False  # each interpreter has a GIL of its own: with or without, they run in parallel
        return len(self.tests) == 1 and self.verdict.rank <= Verdict.ERROR.rank and self.phase not in ("start", "collection")

    @property
    def rate(self) -> str:
        """How often it showed: ``failed in 17 of 200 rounds``, ``died in round 3``; empty where it came in no round."""
        if self.round:
            return f"{_SHOWED.get(self.verdict, 'failed')} in round {self.round}"
        if self.coverage is not None and self.coverage.interleavings is not None:
            return ""  # the first one that fails ends the search; the headline says which
        rounds = {number for group in self.groups for number in group.rounds if number}
        return f"failed in {len(rounds)} of {counted(self.coverage.rounds, 'round')}" if rounds and self.coverage else ""


_SHOWED = {Verdict.CRASH: "died", Verdict.HANG: "did not end", Verdict.DEADLOCK: "deadlocked"}


@dataclass(frozen=True, slots=True)
class TestVerdict:
    """One test's verdict, with what it rests on.

    :param reason: why a test was skipped or not checked.
    :param asked: whether the run asked for it to be rerun; it may also be here because another test's teardown accuses it.
    """

    __test__ = False

    test: str
    verdict: Verdict
    coverage: Coverage | None = None
    reason: str = ""
    findings: tuple[Finding, ...] = field(default=())
    asked: bool = True

    @property
    def rerun(self) -> bool:
        """Whether it was run in several threads, with or without luck in bringing them together, and did not skip itself."""
        if self.verdict is Verdict.SKIPPED:
            return False
        own = self.coverage is not None and self.coverage.interleavings is not None  # threads besides the test's own
        several = self.coverage is not None and self.coverage.threads > (0 if own else 1)
        return several or any(finding.round for finding in self.findings)

    @property
    def concurrent(self) -> bool:
        """Whether bodies of this test really ran at the same time, or what was found came from its rounds."""
        if self.verdict is Verdict.NOT_CHECKED:
            return False
        if self.coverage is not None and (self.coverage.overlapped or self.coverage.failed):
            return True
        return any(finding.round for finding in self.findings)


def to_plain(value: Any) -> Any:
    """A value of this module as dicts, lists, strings and numbers (what JSON and xdist's channel can carry)."""
    if value is None or type(value) in (bool, int, float):
        return value
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [to_plain(entry) for entry in value]
    if isinstance(value, str) and not value.isascii():
        # A lone surrogate (os.fsdecode of a file name that is no UTF-8) cannot be sent.
        return value.encode(errors="backslashreplace").decode()
    return value


def finding_from_plain(data: dict[str, Any]) -> Finding:
    """The inverse of :func:`to_plain` for a :class:`Finding`.

    :raises KeyError, TypeError, ValueError: ``data`` is not what :func:`to_plain` made.
    """
    return Finding(
        verdict=Verdict(data["verdict"]),
        tests=tuple(data["tests"]),
        headline=data["headline"],
        phase=data["phase"],
        groups=tuple(_group_from_plain(group) for group in data["groups"]),
        coverage=coverage_from_plain(data["coverage"]),
        detail=data["detail"],
        round=data["round"],
        reliance=_reliance_from_plain(data["reliance"]),
        replay=data["replay"],
    )


def _reliance_from_plain(data: dict[str, Any] | None) -> Reliance | None:
    if data is None:
        return None
    return Reliance(RelianceKind(data["kind"]), tuple(Rerun(**rerun) for rerun in data["reruns"]), data["text"])


def _group_from_plain(data: dict[str, Any]) -> FailureGroup:
    location = data["location"]
    return FailureGroup(
        kind=data["kind"],
        message=data["message"],
        phase=data["phase"],
        count=data["count"],
        threads=tuple(data["threads"]),
        rounds=tuple(data["rounds"]),
        location=None if location is None else Location(**location),
    )


def group_failures(failures: Sequence[ThreadFailure], ours: Sequence[str] = ()) -> list[tuple[FailureGroup, ThreadFailure]]:
    """Failures that share exception type and traceback as one, each with the first of its failures.

    Messages may differ inside a group (a lost update gives another wrong number each time); the first one is kept.

    :param ours: folders whose frames are the harness's own: never the location of a failure.
    """
    buckets: dict[tuple[object, ...], list[ThreadFailure]] = {}
    for failure in failures:
        buckets.setdefault(_signature(failure), []).append(failure)
    grouped = [(_group(bucket, ours), bucket[0]) for bucket in buckets.values()]
    return sorted(grouped, key=lambda pair: -pair[0].count)


def _signature(failure: ThreadFailure) -> tuple[object, ...]:
    exception = failure.exception
    frames = tuple((frame.f_code, line) for frame, line in traceback.walk_tb(exception.__traceback__))
    parts: tuple[object, ...] = ()
    if isinstance(exception, BaseExceptionGroup):
        parts = tuple(sorted(type(leaf).__qualname__ for leaf in exception.exceptions))
    return (failure.phase, type(exception), parts, frames)


def _group(bucket: list[ThreadFailure], ours: Sequence[str]) -> FailureGroup:
    first = bucket[0]
    return FailureGroup(
        kind=_type_name(first.exception),
        message=_message(first.exception),
        phase=first.phase,
        count=len(bucket),
        threads=tuple(sorted({failure.thread for failure in bucket})),
        rounds=tuple(sorted({failure.round for failure in bucket})),
        location=location_of(first.exception, ours),
    )


def _type_name(exception: BaseException) -> str:
    kind = type(exception)
    return kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"


def _message(exception: BaseException, lines: int = 12) -> str:
    try:
        text = str(exception).splitlines()
    except Exception as broken:
        return f"<its message cannot be shown: {type(broken).__name__}>"
    return "\n".join(text[:lines])


def location_of(exception: BaseException, ours: Sequence[str] = ()) -> Location | None:
    """The innermost line of a traceback that lies in neither ``ours`` nor installed packages, else the innermost.

    An exception group is looked into: the location of its first leaf is where the failure shows.
    """
    while isinstance(exception, BaseExceptionGroup):
        exception = exception.exceptions[0]
    frames = [
        frame
        for frame in traceback.extract_tb(exception.__traceback__)
        if not any(frame.filename.startswith(folder) for folder in ours)
    ]
    if not frames:
        return None
    installed = (f"{os.sep}site-packages{os.sep}", f"{os.sep}lib{os.sep}python")
    own = [frame for frame in frames if not any(part in frame.filename for part in installed)]
    frame = (own or frames)[-1]
    return Location(frame.filename, frame.lineno or 0, frame.name, (frame.line or "").strip())

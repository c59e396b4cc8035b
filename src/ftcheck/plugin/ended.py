"""How a test that threads have run has ended: what its failures are made of, how often they came, and what is raised."""

from __future__ import annotations

import dataclasses
import unittest
from collections.abc import Sequence

from _pytest.outcomes import Exit, Skipped, XFailed

from ftcheck import stress, workload
from ftcheck.coverage import Coverage
from ftcheck.plugin import given
from ftcheck.plugin.own_fixtures import SubtestFailures
from ftcheck.verdicts import FailureGroup, Finding, ThreadFailure, Verdict

SKIPS = (Skipped, unittest.SkipTest)


class DataRaceError(Exception):
    """An extension accesses memory from two threads, and nothing orders them."""


class DeadlockError(Exception):
    """An interleaving ends in a deadlock; its threads were let go."""


class InterpretersError(Exception):
    """In several interpreters a test does not do what it does in one."""


class NotRunError(Exception):
    """Nothing was run, though it was asked for: a token does not fit."""


class StalledError(Exception):
    """A round did not end, and the test could not be ended by ending its process."""


TOLD = (DataRaceError, DeadlockError, InterpretersError, NotRunError, StalledError)
"""What has no traceback worth showing: the finding says what there is to say."""


def parts(failure: ThreadFailure) -> list[ThreadFailure]:
    """Taken apart: what ``concurrently()`` raised, the failures of the bodies; what subtests raised; what was seen once."""
    inside: Sequence[BaseException] = given.seen_once(failure.exception)
    if isinstance(failure.exception, (workload.BaseConcurrentFailures, SubtestFailures)):
        inside = failure.exception.exceptions
    if not inside:
        return [failure]
    return [part for one in inside for part in parts(dataclasses.replace(failure, exception=one))]


def outcome_in(raised: BaseException) -> BaseException | None:
    """What an exception says of how a test ended, whatever it is wrapped in; None if there is a failure in it."""
    inside = [one.exception for one in parts(ThreadFailure(-1, 0, "body", raised))]
    leaving = next((one for one in inside if isinstance(one, Exit)), None)
    return leaving or (inside[0] if all(isinstance(one, (XFailed, *SKIPS)) for one in inside) else None)


def all_skipped(failures: Sequence[ThreadFailure], threads: int) -> bool:
    """Whether in some round every thread was skipped: then every round will be. ``pytest.exit()`` ends it at once."""
    skipped: dict[int, set[int]] = {}
    for one in failures:
        if isinstance(one.exception, Exit):
            return True
        if isinstance(one.exception, (*SKIPS, XFailed)):
            skipped.setdefault(one.round, set()).add(one.thread)
    return any(len(who) >= threads for who in skipped.values())


def stall_finding(nodeid: str, stall: stress.Stall, coverage: Coverage | None) -> Finding:
    """The finding for a round that does not end."""
    from ftcheck.plugin import evidence

    verdict = Verdict.DEADLOCK if stall.kind == "deadlock" else Verdict.HANG
    why = "every thread waits for a lock that none of them will release"
    if stall.kind == "hang":
        why = f"not over after {stall.seconds:.1f} s"
        if stall.cpu > stall.seconds / 2:
            why += f", and still computing ({stall.cpu:.1f} s of CPU time); if it is only slow, raise --ftcheck-timeout"
    return Finding(
        verdict=verdict,
        tests=(nodeid,),
        headline=f"round {stall.round}: {why}",
        coverage=coverage,
        detail=evidence.readable(stall.stacks),
        round=stall.round,
    )


def how_often(groups: Sequence[FailureGroup], coverage: Coverage) -> str:
    """``2 of 2 threads, 17 of 200 rounds``; for a test with its own threads only the rounds; ``schedule 3`` if explored."""
    if coverage.interleavings is not None:
        return "replayed" if coverage.limit == "replay" else f"schedule {coverage.rounds}"
    rounds = {number for group in groups for number in group.rounds}
    threads = {number for group in groups for number in group.threads if number >= 0}
    text = f"{len(rounds)} of {coverage.rounds} rounds"
    if coverage.calls > coverage.rounds and threads:
        text = f"{len(threads)} of {coverage.threads} threads, {text}"
    return text

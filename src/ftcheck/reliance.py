"""Does a failure rely on the GIL being off? What the rates of three reruns say.

A failing test is run again in fresh interpreters (:mod:`ftcheck.plugin.classify`): *alone*, in threads *without the GIL*,
in threads *with the GIL*. Each gives a :class:`~ftcheck.verdicts.Rerun`; this file turns them into a kind. It is pure: no
process, no clock, no pytest.

Two rules keep it honest. A mode that could not be run, or in which no two threads overlapped, is never a pass. And where
a rare failure stays away with the GIL, that may be luck: :func:`luck` says how likely it is, by Fisher's exact test
(R. A. Fisher, The Design of Experiments, 1935). The plain (1-p)^m would take the observed rate p for the true one, and so
be certain after a single crash in round 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ftcheck.verdicts import Reliance, RelianceKind, Rerun

ALONE, WITHOUT, WITH = "alone", "without the GIL", "with the GIL"
LUCK = 0.01
"""Above this, the passes with the GIL are said to be possibly luck."""


def decide(reruns: Sequence[Rerun], *, needs_company: bool = False, had_gil: bool = False) -> Reliance:
    """The kind of a failure.

    :param reruns: one for each mode that this interpreter can have at all (a build with the GIL has no WITHOUT).
    :param needs_company: the test cannot be run alone, because its bodies wait for each other; alone is then left aside.
    :param had_gil: the run in which it failed had the GIL on, so that it was not yet seen to fail without.
    """
    by_mode = {rerun.mode: rerun for rerun in reruns}
    alone, without, with_gil = (by_mode.get(mode) for mode in (ALONE, WITHOUT, WITH))
    if _failed(alone):
        kind, text = RelianceKind.FAILS_ALONE, ""
    elif alone is not None and not alone.rounds and not needs_company:
        kind, text = RelianceKind.NOT_CLASSIFIED, alone.text
    elif _failed(with_gil):
        both = _failed(without) or not had_gil
        kind, text = RelianceKind.THREAD_UNSAFE if both else RelianceKind.THREAD_UNSAFE_WITH, ""
    elif without is not None and without.failed:
        if with_gil is not None and _passed(with_gil):
            kind, text = RelianceKind.GIL_RELIANT, _doubt(without, with_gil)
        else:
            kind, text = RelianceKind.THREAD_UNSAFE_WITHOUT, "with the GIL it is not known"
    elif _passed(without) or (without is None and _nothing_failed(alone, with_gil)):
        kind, text = RelianceKind.NOT_REPRODUCED, ""
    else:
        unknown = [rerun for rerun in (without, with_gil) if rerun is not None and not _passed(rerun)]
        kind, text = RelianceKind.NOT_CLASSIFIED, "; ".join(map(_why_unknown, unknown))
    return Reliance(kind, tuple(reruns), _line(kind, reruns, text))


def not_classified(why: str, reruns: Sequence[Rerun] = ()) -> Reliance:
    """Where nothing can be said, ``why`` says so."""
    return Reliance(RelianceKind.NOT_CLASSIFIED, tuple(reruns), f"{RelianceKind.NOT_CLASSIFIED.value}: {why}")


def failed_alone(why: str) -> Reliance:
    """A test that ran alone, and not in threads, when it failed: no rerun is needed to know that it fails alone."""
    return Reliance(RelianceKind.FAILS_ALONE, (), f"{RelianceKind.FAILS_ALONE.value}: it did not run concurrently ({why})")


def luck(failed: int, rounds: int, passed: int) -> float:
    """The probability that all of ``failed`` failures fall into the one of two groups of rounds where they did, if both
    groups have the same chance to fail.

    :param failed: failing rounds, all in the first group.
    :param rounds: the size of the first group.
    :param passed: the size of the second group, in which none failed.
    """
    return math.comb(rounds, failed) / math.comb(rounds + passed, failed)


def _failed(rerun: Rerun | None) -> bool:
    return rerun is not None and rerun.failed > 0


def _passed(rerun: Rerun | None) -> bool:
    """Whether a mode in threads says something, and that nothing failed."""
    return rerun is not None and rerun.failed == 0 and rerun.rounds > 0 and rerun.overlapped > 0


def _nothing_failed(alone: Rerun | None, with_gil: Rerun | None) -> bool:
    return _passed(with_gil) or (with_gil is None and alone is not None and alone.rounds > 0)


def _doubt(without: Rerun, with_gil: Rerun) -> str:
    # Rounds that did not overlap could not have failed: they do not count as evidence.
    rounds, passed = max(without.overlapped, without.failed), with_gil.overlapped
    chance = luck(without.failed, rounds, passed)
    if chance <= LUCK:
        return ""
    percent = f"{chance:.0%}" if chance >= 0.1 else f"{chance:.1%}"
    return (
        f"but the passes with the GIL may be luck: if the GIL made no difference, {without.failed} of {rounds} and 0 of "
        f"{passed} overlapped rounds would still come out in {percent} of such comparisons; --ftcheck-seconds gives more"
    )


def _why_unknown(rerun: Rerun) -> str:
    return f"{rerun.mode} no two threads overlapped" if rerun.rounds else rerun.text


def _line(kind: RelianceKind, reruns: Sequence[Rerun], text: str) -> str:
    if kind is RelianceKind.NOT_REPRODUCED:
        return f"{kind.value} (0 of {sum(rerun.rounds for rerun in reruns)} rounds)"
    if kind is RelianceKind.NOT_CLASSIFIED:
        return f"{kind.value}: {text}"
    return f"{kind.value}, {text}" if text else kind.value

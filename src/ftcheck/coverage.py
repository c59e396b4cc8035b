"""What was run to reach a verdict: rounds that were really parallel, or interleavings under control.

Like :mod:`ftcheck.verdicts`, this is the ground floor: frozen values, made of plain data. A pass is always said with one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ftcheck.candidates import Candidates, Mark, candidates_from_plain
from ftcheck.possible import PossibleRaces, possible_from_plain


@dataclass(frozen=True, slots=True)
class Interleavings:
    """What the controlled engine has covered.

    :param complete: all inequivalent interleavings were run, and there are so many: ``number``.
    :param number: inequivalent interleavings that the systematic search has run.
    :param missing: the probability, at most, that a bug of depth 2 (one preemption at the right place) was missed.
    :param decisions: scheduling decisions of a run: least, mean, most.
    :param timed: sleeps and timeouts took part; they end only when nothing else can run, so other orders were not tried.
    :param left: daemon threads were at work when the test ended; where else they could have been cut was not tried.
    :param cut: runs that were given up at a limit, so that what comes after it is not known.
    :param uncontrolled: schedules in which a thread blocked outside of control; what came after that depended on more than
        on decisions.
    :param outside: where that was.
    :param deterministic: False: the code under test went another way than the same decisions had led before.
    :param differs: where that was seen first; empty: it is deterministic, as far as is known.
    :param stale: a marker pins a schedule that does not fit any more, so the test was explored instead.
    :param candidates: pairs of accesses that nothing orders; None: nobody asked for them.
    :param within: all schedules with at most so many preemptions were run; -1: not even all those with none.
    """

    complete: bool
    number: int
    missing: float
    decisions: tuple[int, float, int]
    timed: bool = False
    cut: int = 0
    deterministic: bool = True
    uncontrolled: int = 0
    outside: tuple[str, ...] = ()
    stale: bool = False
    candidates: Candidates | None = None
    differs: str = ""
    left: bool = False
    within: int = -1


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was run to reach a verdict; a pass is always said with this.

    :param threads: bodies at a time.
    :param rounds: rounds that were run.
    :param overlapped: rounds in which at least two bodies ran at the same moment.
    :param failed: rounds in which any thread failed.
    :param calls: calls of bodies, over all threads and rounds.
    :param seconds: wall-clock time of all rounds.
    :param limit: what ended the search: ``"rounds"``, ``"seconds"``, ``"failures"``, ``"settled"`` or ``"hang"``.
    :param gil: whether the GIL was on at the end, so that bodies took turns instead of running in parallel.
    :param interleavings: of the controlled engine, whose rounds are schedules; None: the threads ran really in parallel.
    :param watched: what was looked at within extensions, and what was not, in words; empty: there was none to look at.
    :param interpreters: that ran the test at the same time, in place of threads; 0: threads did.
    :param possible: what the strict rule has found in extensions besides data races; None: it was not asked for, or there
        was no extension to look at.
    """

    threads: int
    rounds: int
    overlapped: int
    failed: int
    calls: int
    seconds: float
    limit: str
    gil: bool = False
    interleavings: Interleavings | None = None
    watched: tuple[str, ...] = ()
    interpreters: int = 0
    possible: PossibleRaces | None = None

    @property
    def text(self) -> str:
        """One line for people: ``2 threads, 200 rounds, 198 overlapped``."""
        return ", ".join([self._run, *self.watched])

    @property
    def _run(self) -> str:
        if self.interleavings is not None:
            return self._explored(self.interleavings)
        who = counted(self.interpreters, "interpreter") if self.interpreters else counted(self.threads, "thread")
        parts = [who, counted(self.rounds, "round"), f"{self.overlapped} overlapped"]
        if self.limit == "seconds":
            parts.append("time budget reached")
        if self.gil:
            parts.append("GIL on")
        if self.possible is not None:
            parts.append(counted(len(self.possible.pairs), "possible data race") + " (strict)")
        return ", ".join(parts)

    def _explored(self, seen: Interleavings) -> str:
        covered = self._covered(seen)
        return covered if seen.candidates is None else f"{covered}, {_counted(seen.candidates)}"

    def _covered(self, seen: Interleavings) -> str:
        if self.limit == "replay":
            return "one interleaving replayed" if self.rounds else "nothing was run"
        if seen.complete:
            all_of = "the only interleaving" if seen.number == 1 else f"all {seen.number} inequivalent interleavings"
            return f"{counted(self.threads, 'thread')}, {all_of}{_STALE if seen.stale else ''}"
        parts = [counted(self.threads, "thread")] if self.threads else []
        parts.append(f"{counted(self.rounds, 'schedule')} {'run' if self.limit == 'hang' else 'sampled'}")
        if seen.within >= 0:
            parts.append(f"all with {_at_most(seen.within)} among them")
        if self.limit in _BUDGETS:
            parts.append(f"P(a bug of depth 2 was missed) at most {seen.missing:.2g}")
            parts.append(_BUDGETS[self.limit])
        if seen.timed:
            parts.append("sleeps and timeouts end only when nothing else can run")
        if seen.left:
            parts.append("a daemon thread was still at work at the end")
        if seen.cut:
            parts.append(f"{counted(seen.cut, 'schedule')} given up at a limit")
        if not seen.deterministic:
            parts.append(f"not deterministic ({seen.differs})" if seen.differs else "not deterministic")
        if seen.uncontrolled:
            share = 1 - seen.uncontrolled / max(self.rounds, 1)
            parts.append(f"{share:.0%} of them controlled throughout: threads blocked outside at {_listed(seen.outside)}")
        return ", ".join(parts) + (_STALE if seen.stale else "")


_BUDGETS = {
    "schedules": "schedule budget reached",
    "seconds": "time budget reached",
    "length": "no more, because they are so long",
}
_STALE = ", the pinned schedule no longer fits"


def _at_most(preemptions: int) -> str:
    return f"at most {counted(preemptions, 'preemption')}" if preemptions else "no preemption"


def _listed(places: tuple[str, ...], most: int = 3) -> str:
    shown = "; ".join(places[:most])
    return f"{shown} and {counted(len(places) - most, 'more place')}" if len(places) > most else shown


def _counted(candidates: Candidates) -> str:
    if not candidates.looked:
        return "race candidates not looked for"
    remarks = [(candidates.count(Mark.CONFIRMED), "confirmed"), (candidates.count(Mark.NOT_EXPLORED), "not explored")]
    text = ", ".join(f"{number} {remark}" for number, remark in remarks if number)
    number = counted(len(candidates.pairs), "race candidate") if candidates.pairs else "no race candidates"
    return f"{number} ({text})" if text else number


def counted(number: int, noun: str) -> str:
    """``1 round``, ``2 rounds``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def grouped(number: int, noun: str) -> str:
    """``1 call``, ``1,204 calls``: the same where numbers may be large."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def coverage_from_plain(data: dict[str, Any] | None) -> Coverage | None:
    """The inverse of :func:`to_plain` for a :class:`Coverage` or ``None``."""
    if data is None:
        return None
    seen = data.get("interleavings")
    if seen is not None:
        listed = candidates_from_plain(seen.get("candidates"))
        tuples = {"decisions": tuple(seen["decisions"]), "outside": tuple(seen["outside"])}
        seen = Interleavings(**{**seen, **tuples, "candidates": listed})
    more = {"watched": tuple(data.get("watched", ())), "possible": possible_from_plain(data.get("possible"))}
    return Coverage(**{**data, "interleavings": seen, **more})

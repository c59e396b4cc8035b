"""The search: one schedule after the other until one fails, or everything was run, or the budget is spent.

What comes of it says how much was covered, because "nothing found" means nothing without that: all inequivalent
interleavings (where the systematic search came to its end), or so many sampled schedules, with all among them that have so
few preemptions, and how probable it is that a bug of a given depth was missed
(:func:`ftcheck.explore.strategies.pct.probability_of_missing`).
"""

from __future__ import annotations

import collections
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ftcheck import _core
from ftcheck.candidates import Candidates
from ftcheck.explore import native
from ftcheck.explore.control import LONGEST, Attempt, Control, Ending, Log, Run
from ftcheck.explore.hunt import Hunt
from ftcheck.explore.knowledge import Knowledge
from ftcheck.explore.minimise import Minimised, minimise
from ftcheck.explore.strategies.bounded import Bounded
from ftcheck.explore.strategies.pct import Pct, probability_of_missing
from ftcheck.explore.strategies.portfolio import Portfolio

_STUDY_EVERY = 25
"""Once nothing new is learned from the logs, every so many runs one is read all the same."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a search may cost.

    :param schedules: runs of the test.
    :param seconds: wall-clock time; None: no limit.
    :param minimising: runs for making a failing schedule small.
    :param points: scheduling points, of all runs together: there are fewer runs of a long test.
    :param least: so many runs are made all the same.
    """

    schedules: int = 400
    seconds: float | None = None
    minimising: int = 2_000
    points: int = 20_000_000
    least: int = 0


@dataclass(frozen=True, slots=True)
class Spread:
    """Least, mean and most of something that each run has."""

    least: int
    mean: float
    most: int


@dataclass(frozen=True, slots=True)
class Exploration:
    """What a search came to.

    :param failing: the first run that failed, or None.
    :param minimised: the smallest schedule with the same failure; None if it did not come back when it was run again.
    :param schedules: runs; **redundant**: of these, given up because an equivalent one had been run.
    :param by_strategy: runs by strategy.
    :param complete: all inequivalent interleavings were run, and there are so many: ``interleavings``.
    :param limit: what ended the search: ``"found"``, ``"complete"``, ``"schedules"``, ``"seconds"`` or ``"length"``,
        which is that of all runs together; ``"left"``: threads that ended with an earlier run are waited for.
    :param missing: bug depth to the probability that a bug of that depth would have been missed, at most.
    :param endings: how the runs ended, where not by themselves.
    :param timed: some run slept or timed out: these end only when nothing else can run, so other orders were not tried.
    :param left: in some run a daemon thread was at work when the test ended; it could have been cut elsewhere, too.
    :param outside: where threads blocked outside of control; **uncontrolled**: in how many runs.
    :param deterministic: False: a run went another way than the same decisions had led before; **differs**: where.
    :param candidates: for races, if they were asked for; what they have cost is counted there.
    :param extensions: whose memory accesses were scheduling points.
    :param within: all schedules with at most so many preemptions were run; -1: not even all those with none.
    """

    failing: Run | None
    minimised: Minimised | None
    schedules: int
    redundant: int
    by_strategy: Mapping[str, int]
    complete: bool
    interleavings: int
    limit: str
    missing: Mapping[int, float]
    decisions: Spread
    threads: int
    endings: Mapping[str, int]
    timed: bool
    left: bool
    deterministic: bool
    uncontrolled: int
    outside: tuple[str, ...]
    seconds: float
    candidates: Candidates | None = None
    differs: str = ""
    extensions: int = 0
    within: int = -1


@dataclass(slots=True)
class _Books:
    schedules: int = 0
    points: int = 0
    redundant: int = 0
    sampled: collections.Counter[int] = field(default_factory=collections.Counter)
    timed: bool = False
    left: bool = False
    cut_short: bool = False
    uncontrolled: int = 0
    outside: dict[str, None] = field(default_factory=dict)
    in_extensions: bool = False
    by_strategy: collections.Counter[str] = field(default_factory=collections.Counter)
    endings: collections.Counter[str] = field(default_factory=collections.Counter)
    decisions: list[int] = field(default_factory=list)

    def enter(self, attempt: Attempt, run: Run) -> None:
        self.schedules += 1
        self.points += run.steps
        self.by_strategy[attempt.strategy] += 1
        self.timed |= run.timed
        self.left |= run.left
        self.uncontrolled += bool(run.uncontrolled)
        self.in_extensions |= run.in_extensions > 0
        self.outside |= dict.fromkeys(run.uncontrolled)
        if attempt.strategy == Pct.name:
            self.sampled[attempt.parameters[0]] += 1  # only these have a guarantee, each for its own depth
        if run.ending is Ending.REDUNDANT:
            self.redundant += 1
            return
        self.decisions.append(run.decisions)
        if run.ending not in (Ending.COMPLETE, Ending.DEADLOCK):
            self.endings[run.ending.name.lower().replace("_", " ")] += 1
            # Preemption bounding is not fair: it can let two threads wait for a third one by turns, for ever.
            self.cut_short |= attempt.strategy != Bounded.name

    def spread(self) -> Spread:
        seen = self.decisions or [0]
        return Spread(min(seen), sum(seen) / len(seen), max(seen))


def search(
    control: Control,
    body: Callable[[], object],
    *,
    budget: Budget,
    seed: int,
    systematic: bool = True,
    bounded: bool = True,
    progress: Callable[[int], object] = lambda schedules: None,
    hunt: Hunt | None = None,
) -> Exploration:
    """Explore the interleavings of a test.

    What fails first is what is reported. With a ``hunt`` the search goes on behind it, to the end of its budget, so that
    other pairs of accesses are seen, and in both orders; that changes nothing in what is said of the failure.

    :param body: the test: makes everything afresh, runs its threads, and raises if something is wrong.
    :param systematic: whether to search systematically, too; it needs to see all accesses.
    :param bounded: and with a bound on preemptions, which comes to something in some hundred schedules.
    :param progress: called now and then with the number of runs so far.
    :param hunt: looks for race candidates, and takes every second turn as long as it has something to try.
    """
    dice = random.Random(seed)
    _core.cool()
    began = time.monotonic()
    systematic = systematic and not (native.how_many() and control.run(body, Attempt("plan", [])).in_extensions)
    knowledge, portfolio, books = Knowledge(), Portfolio(systematic=systematic, bounded=bounded), _Books()
    until = None if budget.seconds is None else began + budget.seconds
    limit, failing, schedules = "schedules", None, 0
    if hunt is not None:
        hunt.begin()
    while schedules < budget.schedules:
        if until is not None and time.monotonic() > until:
            limit = "seconds"
            break
        if books.points > budget.points and schedules >= budget.least:
            limit = "length"
            break
        reversing = hunt.next() if hunt is not None else None
        attempt = reversing or portfolio.next(knowledge, dice)
        if attempt is None:
            limit = "complete"
            break
        study = not portfolio.far and (
            hunt is not None or not knowledge.settled or schedules % _STUDY_EVERY == 0 or attempt.policy == "bounded"
        )
        log = Log.SWITCHES | (Log.OPERATIONS if study or attempt.policy == "dpor" else Log.NOTHING)
        run = control.run(body, attempt, log)
        if schedules == 0 and run.ending is Ending.TOO_LONG:
            knowledge.study()
            attempt, run, study = *_in_full(control, body, portfolio), False
        schedules += 1
        if failing is None:
            books.enter(attempt, run)
        if hunt is not None and not portfolio.far:
            hunt.see(run)
        knowledge.note(run.decisions, run.steps, run.threads)
        if run.failed and failing is None:
            if _waits_for_the_gone(control, body, run):
                limit = "left"
                break
            failing = run
            if hunt is None:
                break
        if study:
            knowledge.study()
        if reversing is None:
            portfolio.learn(run)
        if portfolio.dpor is not None and portfolio.dpor.complete and not (books.timed or books.left):
            control.run(body, portfolio.dpor.once_more(), Log.OPERATIONS)
            if portfolio.is_confirmed():  # nothing was left behind by an earlier run
                limit = "complete"
                break
        if schedules % 64 == 0:
            progress(schedules)
    within = (
        -1 if failing is not None or limit in ("complete", "left") else _within(control, body, portfolio, knowledge, books)
    )
    minimised = minimise(control, body, failing, budget.minimising) if failing is not None else None
    if hunt is not None:
        hunt.end("schedules" if limit == "length" else limit)
        if failing is not None:
            hunt.confirm(control, body, minimised, until)
    limit = limit if failing is None else "found"
    return Exploration(
        failing=failing,
        minimised=minimised,
        schedules=books.schedules,
        redundant=books.redundant,
        by_strategy=dict(books.by_strategy),
        complete=limit == "complete" and not books.cut_short,
        interleavings=portfolio.dpor.interleavings if portfolio.dpor is not None else 0,
        limit=limit,
        missing={depth: _missing(depth, knowledge, books) for depth in (2, 3)},
        decisions=books.spread(),
        threads=knowledge.threads,
        endings=dict(books.endings),
        timed=books.timed,
        left=books.left,
        deterministic=not portfolio.diverged,
        differs=portfolio.diverged,
        uncontrolled=books.uncontrolled,
        outside=tuple(books.outside),
        seconds=time.monotonic() - began,
        candidates=None if hunt is None else hunt.listing(),
        within=within,
        extensions=native.how_many() if books.in_extensions else 0,
    )


def _waits_for_the_gone(control: Control, body: Callable[[], object], run: Run) -> bool:
    """Whether a deadlock is one only because threads end with the schedule that has started them.

    A module that keeps a thread of its own from one call to the next finds it gone. Then the plain schedule ends in a
    deadlock as well, and with fewer daemon threads than a run that came to its end and left them waiting for more.
    """
    if run.ending is not Ending.DEADLOCK or run.failure is not None or run.daemons >= control.kept:
        return False
    plain = control.run(body, Attempt("plan", []))
    return plain.ending is Ending.DEADLOCK and plain.daemons < control.kept


def _within(control: Control, body: Callable[[], object], portfolio: Portfolio, knowledge: Knowledge, books: _Books) -> int:
    """All schedules with at most so many preemptions were run, and nothing was left behind by an earlier run; -1: not so."""
    if portfolio.dpor is None or portfolio.bounded is None or books.timed or books.left or books.endings:
        return -1
    within = portfolio.bounded.within(knowledge)
    if within < 0:
        return -1
    control.run(body, portfolio.dpor.once_more(), Log.OPERATIONS)
    return within if portfolio.is_confirmed() else -1


def _in_full(control: Control, body: Callable[[], object], portfolio: Portfolio) -> tuple[Attempt, Run]:
    """The first run was given up: perhaps it is only long, and not one that never ends."""
    attempt = Attempt("plan", [], strategy="no preemptions", limit=LONGEST)
    run = control.run(body, attempt)
    if run.ending is not Ending.TOO_LONG:
        portfolio.go_far(min(2 * run.steps, LONGEST))
    return attempt, run


def _missing(depth: int, knowledge: Knowledge, books: _Books) -> float:
    return probability_of_missing(depth, knowledge.threads, knowledge.decisions, books.sampled[depth])

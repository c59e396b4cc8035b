"""The controlled engine: the interleavings of a workload, one after the other, until one fails.

Usually as many copies of the body run at once as there are threads to be. A body that brings its own threads
(:func:`ftcheck.concurrently`, ``threading.Thread``, an executor) runs once, as thread 0; whether it does is seen in a first
run of it alone. Set-up and teardown of each copy happen outside of control, before and after each run.
"""

from __future__ import annotations

import contextlib
import contextvars
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from ftcheck import _core, workload
from ftcheck.candidates import Candidates
from ftcheck.explore import chance, native, pool
from ftcheck.explore import control as controlled
from ftcheck.explore.control import Attempt, Control, Log, Run
from ftcheck.explore.differences import what_differs
from ftcheck.explore.divergence import all_there, divergence, places_of_last_run
from ftcheck.explore.hunt import Hunt
from ftcheck.explore.minimise import Minimised
from ftcheck.explore.scope import Scope
from ftcheck.explore.search import Budget, Exploration, search
from ftcheck.explore.sites import Granularity
from ftcheck.explore.story import tell
from ftcheck.explore.token import CODE_CHANGED, Token, TokenError, digest_of, hash_tag, python_tag
from ftcheck.narrative import Interleaving
from ftcheck.workload import Workload


class PhaseError(Exception):
    """Set-up or teardown raised; there is nothing to explore.

    :ivar phase: ``"set-up"`` or ``"teardown"``; **thread**: whose it was, -1 for what all share.
    """

    def __init__(self, phase: str, thread: int, failure: BaseException) -> None:
        super().__init__(phase)
        self.phase, self.thread, self.failure = phase, thread, failure


@dataclass(frozen=True, slots=True)
class Plan:
    """What to explore.

    :param threads: copies of a body that brings no threads of its own.
    :param own_threads: it is known to bring its own.
    :param replay: run this interleaving, and no other.
    :param known: interleavings that have failed in an earlier run: they are tried first.
    :param races: list the candidates for races.
    """

    scope: Scope
    threads: int
    budget: Budget
    seed: int
    granularity: Granularity = Granularity.ACCESSES
    own_threads: bool = False
    replay: Token | None = None
    known: Sequence[Token] = ()
    races: bool = False

    def hunt(self) -> Hunt | None:
        """For candidates, if they are wanted and accesses can be seen."""
        return Hunt() if self.races and self.granularity is not Granularity.LINES else None


@dataclass(frozen=True, slots=True)
class Found:
    """A failing interleaving.

    :param run: the failing run, as small as it was made.
    :param interleaving: what happened in it, or None if it did not come back when it was run again.
    :param differs: if it did not: what differed.
    """

    run: Run
    token: Token | None
    interleaving: Interleaving | None
    minimised: Minimised | None
    differs: str = ""


@dataclass(frozen=True, slots=True)
class Explored:
    """What came of it.

    :param exploration: None for a replay.
    :param copies: of the body; 0: it brought its own threads.
    :param diverged: of a replay: the first decision of the token that was not met, and what may be the cause; empty: all
        were.
    :param known: it was one of the known interleavings that failed.
    :param outdated: of the known interleavings, those that were tried and do not fail any more, or do not fit any more.
    :param threads: of a replay: how many there were, besides the test.
    """

    exploration: Exploration | None
    copies: int
    found: Found | None = None
    diverged: str = ""
    known: bool = False
    outdated: Sequence[Token] = ()
    threads: int = 0

    @property
    def followed(self) -> bool:
        """Of a replay: every decision of the token was met."""
        return not self.diverged


def explore(subject: Workload, plan: Plan, progress: Callable[[int], object] = lambda schedules: None) -> Explored:
    """Explore a workload.

    :param progress: called now and then with the number of schedules so far.
    :raises PhaseError: set-up or teardown failed.
    :raises TokenError: the token to replay does not fit the code.
    :raises RuntimeError: the process cannot be taken under control.
    """
    with chance.held_still() as same_chance, contextlib.ExitStack() as stack:
        test = _Test(subject, same_chance)
        control = stack.enter_context(Control(plan.scope, granularity=plan.granularity, around=test.around))
        if plan.replay is not None:
            return _replay(control, test, plan.replay)
        if not plan.own_threads and control.run(test, Attempt("plan", []), Log.NOTHING).threads == 1:
            test.copies = plan.threads
        elif plan.known:
            control.run(test, Attempt("plan", []), Log.NOTHING)  # what is imported at first use was imported then, too
        outdated: list[Token] = []
        for token in plan.known:
            again = _again(control, test, token)
            if again is not None:
                return replace(again, outdated=tuple(outdated))
            outdated.append(token)
        exploration = search(
            control,
            test,
            budget=plan.budget,
            seed=plan.seed,
            systematic=plan.granularity is not Granularity.LINES,
            progress=progress,
            hunt=plan.hunt(),
        )
        if plan.races and exploration.candidates is None:
            exploration = replace(exploration, candidates=Candidates(limit="points"))
        copies = test.copies if test.copies > 1 else 0
        found = None
        if exploration.failing is not None:
            found = show(control, test, exploration, copies, plan.granularity)
        return Explored(exploration, copies, found, outdated=tuple(outdated))


def show(
    control: Control, body: Callable[[], object], exploration: Exploration, copies: int, granularity: Granularity
) -> Found:
    """The failing interleaving of an exploration, run once more to be told.

    :param copies: of the test, that ran at once; 0: it brought its own threads.
    """
    assert exploration.failing is not None
    small = exploration.minimised
    if small is None:
        schedule = exploration.failing.schedule
        assert schedule is not None
        return Found(exploration.failing, None, None, None, what_differs(control, body, schedule))
    token = Token(small.schedule, copies, granularity, python_tag(), "", hash_tag())
    run, interleaving, diverged, code = told(control, body, token)
    places = () if diverged else places_of_last_run()
    return Found(run if run.failed else small.run, replace(token, code=code, places=places), interleaving, small)


def run_copies(bodies: list[Callable[[], object]], contexts: list[contextvars.Context]) -> None:
    """Under control: run the copies of a test, each in its context.

    :raises BaseExceptionGroup: what they have raised.
    """
    outcomes = pool.run_bodies(bodies, contexts, builtins=False)
    raised = [(number, one) for number, one in enumerate(outcomes) if one is not None]
    if raised:
        message = f"{len(raised)} of {len(bodies)} copies failed"
        group = workload.BaseConcurrentFailures(message, [failure for _, failure in raised])
        group.bodies = tuple(number for number, _ in raised)
        raise group


def _replay(control: Control, test: _Test, token: Token) -> Explored:
    test.copies = max(token.copies, 1)
    control.run(test, Attempt("plan", []), Log.NOTHING)  # what is imported at first use was imported when it was found, too
    run, interleaving, diverged, code = told(control, test, token)
    changed = token.changed(code)
    if diverged and changed == CODE_CHANGED and all_there(token.places, _that_took_part(control)):
        raise TokenError(f"the replay went another way than when its token was made, or {changed}: {diverged}")
    if changed:
        raise TokenError(f"the replay token does not fit: {changed}. Explore again for a new one")
    found = Found(run, token, interleaving, None) if run.failed else None
    return Explored(None, token.copies, found, diverged, threads=run.threads - 1)


def _again(control: Control, test: _Test, token: Token) -> Explored | None:
    """An interleaving that has failed in an earlier run; None if it does not fail any more, or does not fit."""
    copies, test.copies = test.copies, max(token.copies, 1)
    try:
        run, interleaving, diverged, code = told(control, test, token)
    finally:
        test.copies = copies
    if not run.failed or token.changed(code):
        return None
    return Explored(None, token.copies, Found(run, token, interleaving, None), diverged, known=True, threads=run.threads - 1)


def _that_took_part(control: Control) -> list[types.CodeType]:
    """The code of the files from which the last run executed anything."""
    files = {row[9].co_filename for row in _core.trace()[2] if row[9] is not None}
    return [code for code in control.codes if code.co_filename in files]


def told(control: Control, body: Callable[[], object], token: Token) -> tuple[Run, Interleaving, str, str]:
    """Run it once more: what happened, the first decision that was not met, and the digest of the code that took part."""
    log = Log.SWITCHES | Log.DECISIONS | Log.OPERATIONS | Log.VALUES
    run = control.run(body, Attempt("plan", token.schedule.to_core(), limit=controlled.LONGEST), log)
    diverged = divergence(token.schedule.choices, token.places, control.codes)
    if diverged:
        diverged = ". ".join(filter(None, [diverged, token.hashed]))
    names = {number: f"copy {number}" for number in range(1, token.copies + 1)}
    trace = _core.trace()
    return (
        run,
        tell(run, trace, names=names, unfinished=_core.unfinished(), makers=_core.makers(), stuck=native.stuck()),
        diverged,
        digest_of(trace[2]),
    )


@dataclass
class _Test:
    """The workload as one callable, with its set-up and teardown around each run."""

    subject: Workload
    same_chance: Callable[[], None]
    copies: int = 1
    _round: int = 0
    _base: contextvars.Context = field(default_factory=contextvars.copy_context)
    _bodies: list[Callable[[], object]] = field(default_factory=list)
    _contexts: list[contextvars.Context] = field(default_factory=list)
    _shared: contextvars.Context = field(default_factory=contextvars.Context)
    _ready: int = 0

    def __post_init__(self) -> None:
        self._base.run(workload.supervisor.set, controlled.SUPERVISOR)

    def around(self) -> Self:
        return self

    def __enter__(self) -> None:
        self._round += 1
        self._ready = 0
        self._bodies = []
        self.same_chance()
        self._shared = self._base.copy()
        _phase("set-up", -1, self._shared, self.subject.open_round, self._round)
        self._contexts = [self._shared.copy() for _ in range(self.copies)]
        try:
            for number, context in enumerate(self._contexts):
                self._ready += 1
                self._bodies.append(_phase("set-up", number, context, self.subject.prepare, number, self._round))
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *args: object) -> None:
        for number in reversed(range(self._ready)):
            _phase("teardown", number, self._contexts[number], self.subject.cleanup, number, self._round)
        _phase("teardown", -1, self._shared, self.subject.close_round, self._round)

    def __call__(self) -> None:
        if self.copies == 1:
            self._contexts[0].run(self._bodies[0])
        else:
            run_copies(self._bodies, self._contexts)


def _phase[*A, T](phase: str, thread: int, context: contextvars.Context, step: Callable[[*A], T], *args: *A) -> T:
    try:
        return context.run(step, *args)
    except Exception as failure:
        raise PhaseError(phase, thread, failure) from failure

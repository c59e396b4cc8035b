"""One test, explored: the controlled engine's side of :mod:`ftcheck.plugin.running`.

The engine is asked for what the test's settings say, and what it gives becomes what the plugin shows: failures with their
traceback, the coverage, the interleaving as text, and the token with which it is run again.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from _pytest.python import Function

from ftcheck import interpreter
from ftcheck.coverage import Coverage, Interleavings
from ftcheck.plugin import exploring_database, exploring_given
from ftcheck.plugin.exploring_skips import SettledError, SortedOutcomes
from ftcheck.plugin.options import folder_of
from ftcheck.plugin.output import Output
from ftcheck.plugin.subject import ItemWorkload
from ftcheck.report.interleaving import render
from ftcheck.settings import DEFAULT_ROUNDS, DEFAULT_SECONDS, Settings
from ftcheck.verdicts import ThreadFailure

if TYPE_CHECKING:
    from ftcheck.explore.engine import Explored, Found, Plan
    from ftcheck.explore.search import Exploration


@dataclass(frozen=True, slots=True)
class Seen:
    """What exploring a test has shown.

    :param deadlock: the failing interleaving ends in one.
    :param headline: one line for the finding; empty where there is none.
    :param text: the interleaving, for people; **token**: to run it again.
    :param not_run: why nothing was run, which is an error.
    :param output_of: the interleaving whose output is shown.
    :param copies: of the test, that ran at once; 0: it brought its own threads.
    """

    coverage: Coverage
    failures: Sequence[ThreadFailure] = ()
    deadlock: bool = False
    headline: str = ""
    text: str = ""
    token: str = ""
    not_checked: str = ""
    not_run: str = ""
    output_of: int = 1
    copies: int = 0

    def who_writes(self, copy: int, thread: str, interleaving: int) -> str:
        """Whose output it is: that of a copy of the test, or of a thread that it has started."""
        if not self.copies:
            return thread or "the test"
        return f"copy {copy + 1}{f', {thread}' if thread and not thread.startswith('concurrently-') else ''}"


def explore_item(
    item: Function,
    subject: ItemWorkload,
    settings: Settings,
    seed: int,
    own_threads: bool,
    output: Output,
    outcome_in: Callable[[BaseException], BaseException | None],
) -> Seen:
    """Explore one test, or run the one interleaving that was asked for.

    A token that a marker pins and that no longer fits is no error: the test is explored instead, so that a regression test
    stays one when the code it is about has been repaired. A warning says so.

    :param own_threads: it is known to bring its own threads.
    :param outcome_in: what an exception says of how a test ended, if it is no failure.
    :raises SettingsError: a package to explore is not there.
    """
    from ftcheck.explore import engine, token  # not before it is asked for
    from ftcheck.explore.control import Scope
    from ftcheck.explore.search import Budget
    from ftcheck.explore.sites import Granularity

    try:
        replay = token.Token.parse(settings.replay) if settings.replay else None
    except token.TokenError as error:
        return _not_run(error)
    profile = exploring_database.profile()
    failures = exploring_database.Failures(item, profile)
    plan = engine.Plan(
        scope=Scope([str(item.config.rootpath) + os.sep], [folder_of(name, "scope") for name in settings.scope]),
        threads=settings.threads,
        budget=Budget(exploring_database.schedules(item.config, settings, profile, item), _seconds(settings)),
        seed=exploring_database.seed(item, seed, profile),
        granularity=Granularity(settings.points) if replay is None else replay.granularity,
        own_threads=own_threads,
        replay=replay,
    )
    if exploring_given.is_given(item):
        return _explore_given(item, subject, plan)
    test = SortedOutcomes(subject, output, outcome_in)
    try:
        try:
            if replay is None:
                known = [one for one in failures.tokens() if one.granularity is plan.granularity]
                plan = dataclasses.replace(plan, known=known)
            return _explored(item, test, _kept(engine.explore(test, plan), failures))
        except token.TokenError as error:
            if not any(mark.kwargs.get("replay") == settings.replay for mark in item.iter_markers("ftcheck")):
                return _not_run(error)
            stale = str(error)
        item.warn(StaleTokenWarning(f"{item.nodeid}: {stale}. This time it was explored instead"))
        test = SortedOutcomes(subject, output, outcome_in)
        plan = dataclasses.replace(plan, granularity=Granularity(settings.points), replay=None)
        return _explored(item, test, _kept(engine.explore(test, plan), failures))
    except SettledError as settled:
        return Seen(_so_far(test, plan, "settled"), [ThreadFailure(-1, test.round, "body", settled.outcome)])
    except engine.PhaseError as error:
        raised = [ThreadFailure(number, test.round, "body", failure) for number, failure in test.failures]
        raised.append(ThreadFailure(error.thread, test.round, error.phase, error.failure))
        return Seen(_so_far(test, plan, "failures", failed=1), raised, output_of=test.keep_output(failed=True))


class StaleTokenWarning(UserWarning):
    """A marker pins an interleaving of code that has changed since."""


def _kept(seen: Explored, failures: exploring_database.Failures) -> Explored:
    """The database brought up to date."""
    for token in seen.outdated:
        failures.drop(token)
    if seen.exploration is not None and seen.found is not None and seen.found.token is not None:
        failures.keep(seen.found.token)
    return seen


def _seconds(settings: Settings) -> float | None:
    """The limit that somebody has set; the default one is that of rounds."""
    return None if (settings.rounds, settings.seconds) == (DEFAULT_ROUNDS, DEFAULT_SECONDS) else settings.seconds


def _not_run(error: ValueError) -> Seen:
    nothing = Interleavings(False, 0, 1.0, (0, 0.0, 0))
    return Seen(Coverage(0, 0, 0, 0, 0, 0.0, "replay", interleavings=nothing), not_run=str(error))


def _so_far(test: SortedOutcomes, plan: Plan, limit: str, failed: int = 0) -> Coverage:
    """What was run, where the engine was left before it could say."""
    nothing = Interleavings(False, 0, 1.0, (0, 0.0, 0))
    copies = 1 if plan.own_threads else plan.threads
    return Coverage(copies, test.round, 0, failed, test.round, 0.0, limit, interleavings=nothing)


def _explored(item: Function, test: SortedOutcomes, seen: Explored) -> Seen:
    coverage = _coverage(seen)
    if seen.found is not None:
        shown = _failed(item, seen, seen.found, coverage)
        output_of = test.keep_output(failed=seen.found.interleaving is not None)
        return dataclasses.replace(shown, output_of=output_of, copies=seen.copies)
    test.keep_output(failed=False)
    outcomes = test.in_order()
    if outcomes:
        failures = [ThreadFailure(-1, coverage.rounds, "body", outcome) for outcome in outcomes]
        return Seen(coverage, failures, copies=seen.copies)
    return Seen(coverage, not_checked=_why_not_checked(seen, coverage), copies=seen.copies)


def _explore_given(item: Function, subject: ItemWorkload, plan: Plan) -> Seen:
    """Hypothesis calls the test, once for each example; each example is a small search of its own."""
    from ftcheck.explore.examples import BATCH, Examples

    failure: BaseException | None = None
    with Examples(dataclasses.replace(plan, budget=BATCH)) as examples:
        with exploring_given.replaced_body(item, examples, plan.seed):
            try:
                subject.run_alone()
            except Exception as raised:
                failure = raised
        seen = examples.explored(failed=failure is not None)
        if seen is None:
            if failure is not None:
                raise failure
            return Seen(Coverage(plan.threads, 0, 0, 0, 0, 0.0, "schedules"), not_checked="Hypothesis ran no example")
        coverage = dataclasses.replace(
            _coverage(seen),
            rounds=examples.schedules,
            overlapped=examples.schedules if examples.threads else 0,
            calls=examples.schedules * examples.threads,
            limit="complete" if examples.complete else "schedules",
            interleavings=examples.coverage(),
            failed=int(failure is not None),
        )
    if failure is None:
        return Seen(coverage, not_checked=_why_not_checked(seen, coverage))
    if seen.found is None:  # Hypothesis itself complains: a health check, say
        return Seen(coverage, [ThreadFailure(-1, coverage.rounds, "body", failure)])
    shown = _failed(item, seen, seen.found, coverage)
    return dataclasses.replace(shown, failures=[ThreadFailure(-1, coverage.rounds, "body", failure)])


def _failed(item: Function, seen: Explored, found: Found, coverage: Coverage) -> Seen:
    run, token = found.run, str(found.token or "")
    deadlock = run.ending.name == "DEADLOCK"
    failures = [] if run.failure is None else [ThreadFailure(-1, coverage.rounds, "body", run.failure)]
    text = ""
    if found.interleaving is not None:
        command = f"pytest {shlex.quote(_from_here(item))} --ftcheck-replay={token}"
        width = max(80, min(140, item.config.get_terminal_writer().fullwidth))
        text = render(found.interleaving, replay=command, pin=f'@pytest.mark.ftcheck(replay="{token}")', width=width)
    what = "deadlock" if deadlock else ""
    if run.failure is not None:
        inside = run.failure.exceptions[0] if isinstance(run.failure, BaseExceptionGroup) else run.failure
        first = str(inside).partition("\n")[0]
        what = " and ".join(filter(None, [what, type(inside).__name__ + (f": {first}" if first else "")]))
    return Seen(coverage, failures, deadlock, f"{what} ({_how(seen, found, coverage)})", text, token)


def _from_here(item: Function) -> str:
    """A test's node id as it is typed in the folder where pytest was started."""
    path, colons, name = item.nodeid.partition("::")
    return f"{os.path.relpath(item.config.rootpath / path, item.config.invocation_params.dir)}{colons}{name}"


def _how(seen: Explored, found: Found, coverage: Coverage) -> str:
    if seen.known:
        return f"schedule {coverage.rounds}, from the example database, {_preemptions(found.run.preemptions)}"
    if seen.exploration is None:
        return "replayed" + ("" if seen.followed else ", though not every decision of the token could be followed")
    text = f"schedule {coverage.rounds}"
    if found.minimised is None:
        return f"{text}; it did not come back when the same schedule was run again: something is not deterministic"
    number = found.minimised.schedule.preemptions
    least = ", the fewest there are" if found.minimised.proved and number else ""
    return f"{text}, {_preemptions(number)}{least}"


def _preemptions(number: int) -> str:
    return f"{number} preemption{'' if number == 1 else 's'}"


def _why_not_checked(seen: Explored, coverage: Coverage) -> str:
    if seen.exploration is None:
        return "" if seen.followed else "the token's decisions could not all be followed, and nothing failed"
    if seen.exploration.threads < 3 and not seen.copies and coverage.threads < 1:
        return "it started no thread"
    if sum(seen.exploration.endings.values()) >= seen.exploration.schedules:
        return f"every schedule was given up: {', '.join(_GIVEN_UP.get(one, one) for one in seen.exploration.endings)}"
    return ""


_GIVEN_UP = {
    "too long": "it went on for ever, as in a livelock, or is longer than what is run of one",
    "too many threads": "it starts more threads than can be controlled",
}
"""Endings of the engine, in words."""


def _coverage(seen: Explored) -> Coverage:
    exploration = seen.exploration
    if exploration is None:
        threads = max(seen.copies, 2)
        nothing = Interleavings(False, 1, 1.0, (0, 0.0, 0))
        failed = int(seen.found is not None)
        if seen.known:
            tried = 1 + len(seen.outdated)
            return Coverage(threads, tried, tried, failed, tried * threads, 0.0, "found", False, nothing)
        return Coverage(threads, 1, 1, failed, threads, 0.0, "replay", interpreter.gil_enabled(), nothing)
    threads = seen.copies or max(exploration.threads - 1, 0)
    return Coverage(
        threads=threads,
        rounds=exploration.schedules,
        overlapped=exploration.schedules if threads else 0,
        failed=int(exploration.failing is not None),
        calls=exploration.schedules * threads,
        seconds=round(exploration.seconds, 6),
        limit=exploration.limit,
        gil=False,
        interleavings=_interleavings(exploration),
    )


def _interleavings(exploration: Exploration) -> Interleavings:
    spread = exploration.decisions
    return Interleavings(
        complete=exploration.complete,
        number=exploration.interleavings,
        missing=exploration.missing[2],
        decisions=(spread.least, round(spread.mean, 1), spread.most),
        timed=exploration.timed,
        cut=sum(exploration.endings.values()),
        deterministic=exploration.deterministic,
        uncontrolled=exploration.uncontrolled,
        outside=exploration.outside,
    )

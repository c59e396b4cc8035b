"""One test, explored: the controlled engine's side of :mod:`ftcheck.plugin.running`.

The engine is asked for what the test's settings say, and what it gives becomes what the plugin shows: failures with their
traceback, the coverage, the interleaving as text, and the token with which it is run again.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from _pytest.outcomes import Failed
from _pytest.python import Function

from ftcheck.coverage import Coverage, Interleavings
from ftcheck.option_table import DEFAULT_ROUNDS, DEFAULT_SECONDS
from ftcheck.plugin import exploring_database, exploring_given
from ftcheck.plugin.exploring_alone import Alone, RunsAloneError
from ftcheck.plugin.exploring_seen import Seen, coverage_of, failed_as, why_not_checked
from ftcheck.plugin.exploring_skips import SettledError, SortedOutcomes
from ftcheck.plugin.output import Output
from ftcheck.plugin.run_options import folder_of
from ftcheck.plugin.subject import ItemWorkload
from ftcheck.settings import Settings
from ftcheck.stress.process_wide import MustRunAlone
from ftcheck.verdicts import ThreadFailure

if TYPE_CHECKING:
    from ftcheck.explore.engine import Explored, Plan
    from ftcheck.explore.token import TokenError


def explore_item(
    item: Function,
    subject: ItemWorkload,
    settings: Settings,
    seed: int,
    own_threads: bool,
    output: Output,
    outcome_in: Callable[[BaseException], BaseException | None],
    alone: Alone,
) -> Seen:
    """Explore one test, or run the one interleaving that was asked for.

    A token that a marker pins and that no longer fits, or whose decisions are not met any more, is no error: the test is
    explored instead, so that a regression test stays one when the code it is about has been repaired. A warning says so, and
    the coverage.

    :param own_threads: it is known to bring its own threads.
    :param outcome_in: what an exception says of how a test ended, if it is no failure.
    :param alone: sees whether it has to run alone.
    :raises SettingsError: a package to explore is not there.
    """
    from ftcheck.explore import engine, token  # not before it is asked for
    from ftcheck.explore.scope import Scope
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
        races=settings.races,
    )

    def once(plan: Plan) -> Seen:
        if exploring_given.is_given(item):
            return _explore_given(item, subject, plan)
        expects_failure = bool(getattr(getattr(item.obj, "__func__", item.obj), "__unittest_expecting_failure__", False))
        test = SortedOutcomes(subject, output, outcome_in, alone, expects_failure)
        try:
            return _explore_plain(item, test, plan, failures, alone)
        except (RunsAloneError, MustRunAlone) as error:
            return Seen(_so_far(test, plan, "settled"), alone=alone.reason or str(error))

    try:
        if replay is None and not settings.races:  # one that fails again would be all that is run
            known = [one for one in failures.tokens() if one.granularity is plan.granularity]
            plan = dataclasses.replace(plan, known=known)
        return once(plan)
    except token.TokenError as error:
        if not any(mark.kwargs.get("replay") == settings.replay for mark in item.iter_markers("ftcheck")):
            return _not_run(error)
        item.warn(StaleTokenWarning(f"{item.nodeid}: {error}. This time it was explored instead"))
    return _stale(once(dataclasses.replace(plan, granularity=Granularity(settings.points), replay=None)))


class StaleTokenWarning(UserWarning):
    """A marker pins an interleaving of code that has changed since."""


_UNEXPECTED = "Unexpected success: a failure was expected, and no interleaving that was run has failed"


def _not_followed(seen: Explored) -> TokenError:
    from ftcheck.explore.token import TokenError

    what = "the replay token does not fit: not every decision could be followed, and nothing failed. "
    return TokenError(f"{what}Explore again for a new one ({seen.diverged})")


def _stale(seen: Seen) -> Seen:
    if seen.coverage.interleavings is None:
        return seen
    stale = dataclasses.replace(seen.coverage.interleavings, stale=True)
    return dataclasses.replace(seen, coverage=dataclasses.replace(seen.coverage, interleavings=stale))


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


def _explore_plain(
    item: Function, test: SortedOutcomes, plan: Plan, failures: exploring_database.Failures, alone: Alone
) -> Seen:
    """:raises TokenError: the token to replay does not fit.
    :raises RunsAloneError, MustRunAlone: the test has to run alone.
    """
    from ftcheck.explore import engine

    try:
        seen = engine.explore(test, plan)
        alone.check()
        seen = _kept(seen, failures)
    except SettledError as settled:
        return Seen(_so_far(test, plan, "settled"), [ThreadFailure(-1, test.round, "body", settled.outcome)])
    except engine.PhaseError as error:
        raised = [ThreadFailure(number, test.round, "body", failure) for number, failure in test.failures]
        raised.append(ThreadFailure(error.thread, test.round, error.phase, error.failure))
        return Seen(_so_far(test, plan, "failures", failed=1), raised, output_of=test.keep_output(failed=True))
    if not seen.followed and seen.found is None:
        raise _not_followed(seen)
    coverage = coverage_of(seen)
    if seen.found is not None:
        shown = failed_as(item, seen, seen.found, coverage)
        output_of = test.keep_output(failed=seen.found.interleaving is not None)
        return dataclasses.replace(shown, output_of=output_of, copies=seen.copies)
    test.keep_output(failed=False)
    outcomes = test.in_order()
    if outcomes:
        raised = [ThreadFailure(-1, coverage.rounds, "body", outcome) for outcome in outcomes]
        headline = _UNEXPECTED if isinstance(outcomes[0], Failed) else ""
        return Seen(coverage, raised, headline=headline, copies=seen.copies)
    return Seen(coverage, not_checked=why_not_checked(seen, coverage), copies=seen.copies)


def _explore_given(item: Function, subject: ItemWorkload, plan: Plan) -> Seen:
    """Hypothesis calls the test, once for each example; each example is a small search of its own.

    :raises TokenError: the token to replay does not fit, or its data does not.
    """
    from ftcheck.explore import token
    from ftcheck.explore.examples import BATCH, Examples, NotAgainError

    data = plan.replay.data if plan.replay is not None else None
    if why := exploring_given.why_no_data(data):
        raise token.TokenError(f"the replay token does not fit: {why}. Explore again for a new one")
    failure: BaseException | None = None
    not_again = None
    with Examples(dataclasses.replace(plan, budget=BATCH)) as examples:
        with exploring_given.replaced_body(item, examples, plan.seed, plan.replay is not None, data):
            try:
                subject.run_alone()
            except NotAgainError as error:
                not_again = error.found
                failure = not_again.run.failure
            except Exception as raised:
                failure = raised
        if plan.replay is not None:
            failure = exploring_given.came_back(examples, failure, data)
        else:
            not_again = not_again or exploring_given.flaky(examples, failure)
        seen = examples.explored(failed=failure is not None)
        if seen is None:
            if failure is not None:
                raise failure
            return Seen(Coverage(plan.threads, 0, 0, 0, 0, 0.0, "schedules"), not_checked="Hypothesis ran no example")
        coverage = coverage_of(seen)
        if plan.replay is None:
            coverage = dataclasses.replace(
                coverage,
                rounds=examples.schedules,
                overlapped=examples.schedules if examples.threads else 0,
                calls=examples.schedules * examples.threads,
                limit="found" if failure is not None else "complete" if examples.complete else "schedules",
                interleavings=examples.coverage(),
                failed=int(failure is not None),
            )
    if not_again is not None:
        if failure is not None:
            exploring_given.spread_notes(failure)
        return failed_as(item, dataclasses.replace(seen, found=not_again), not_again, coverage)
    if failure is None and not seen.followed:
        raise _not_followed(seen)
    if failure is None:
        return Seen(coverage, not_checked=why_not_checked(seen, coverage))
    if seen.found is None:  # Hypothesis itself complains: a health check, say
        return Seen(coverage, [ThreadFailure(-1, coverage.rounds, "body", failure)])
    found = seen.found
    if found.token is not None and plan.replay is None:
        found = dataclasses.replace(found, token=found.token.with_data(exploring_given.data_of(item, failure)))
    exploring_given.spread_notes(failure)
    shown = failed_as(item, seen, found, coverage)
    return dataclasses.replace(shown, failures=[ThreadFailure(-1, coverage.rounds, "body", failure)])

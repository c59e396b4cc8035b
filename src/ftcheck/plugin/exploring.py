"""One test, explored: the controlled engine's side of :mod:`ftcheck.plugin.running`.

The engine is asked for what the test's settings say, and what it gives becomes what the plugin shows: failures with their
traceback, the coverage, the interleaving as text, and the token with which it is run again.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from _pytest.python import Function

from ftcheck import interpreter
from ftcheck.plugin import exploring_given
from ftcheck.plugin.subject import ItemWorkload
from ftcheck.report.interleaving import render
from ftcheck.settings import Settings, SettingsError
from ftcheck.verdicts import Coverage, Interleavings, ThreadFailure

if TYPE_CHECKING:
    from ftcheck.explore.engine import Explored, Found, Plan
    from ftcheck.explore.search import Exploration


@dataclass(frozen=True, slots=True)
class Seen:
    """What exploring a test has shown.

    :param deadlock: the failing interleaving ends in one.
    :param headline: one line for the finding; empty where there is none.
    :param text: the interleaving, for people; **token**: to run it again.
    """

    coverage: Coverage
    failures: Sequence[ThreadFailure] = ()
    deadlock: bool = False
    headline: str = ""
    text: str = ""
    token: str = ""
    not_checked: str = ""


def explore_item(
    item: Function,
    subject: ItemWorkload,
    settings: Settings,
    seed: int,
    own_threads: bool,
    heartbeat: Callable[[int], object],
) -> Seen:
    """Explore one test, or run the one interleaving that was asked for.

    :param own_threads: it is known to bring its own threads.
    :param heartbeat: called with the number of schedules so far.
    A token that a marker pins and that no longer fits is no error: the test is explored instead, so that a regression test
    stays one when the code it is about has been repaired.

    :raises SettingsError: a package to explore that is not there.
    :raises pytest.fail.Exception: the token of the command line does not fit the code.
    """
    from ftcheck.explore import engine, token  # not before it is asked for
    from ftcheck.explore.control import Scope
    from ftcheck.explore.search import Budget
    from ftcheck.explore.sites import Granularity

    pinned = any(mark.kwargs.get("replay") == settings.replay for mark in item.iter_markers("ftcheck"))
    try:
        replay = token.Token.parse(settings.replay) if settings.replay else None
        plan = engine.Plan(
            scope=Scope([str(item.config.rootpath) + os.sep], [_folder_of(name) for name in settings.scope]),
            threads=settings.threads,
            budget=Budget(schedules=settings.schedules, seconds=settings.seconds if settings.rounds is None else None),
            seed=seed,
            granularity=Granularity(settings.points) if replay is None else replay.granularity,
            own_threads=own_threads,
            replay=replay,
        )
        if exploring_given.is_given(item):
            return _explore_given(item, subject, plan)
        try:
            seen = engine.explore(subject, plan, heartbeat)
        except token.TokenError as error:
            if not pinned:
                raise
            item.add_report_section("call", "replay", f"{error}: explored instead")
            seen = engine.explore(subject, dataclasses.replace(plan, replay=None), heartbeat)
    except token.TokenError as error:
        pytest.fail(f"{item.nodeid}: {error}", pytrace=False)
    except engine.PhaseError as error:
        failure = ThreadFailure(error.thread, 1, error.phase, error.failure)
        return Seen(Coverage(settings.threads, 1, 0, 1, 0, 0.0, "failures"), [failure])
    coverage = _coverage(seen)
    if seen.found is None:
        return Seen(coverage, not_checked=_why_not_checked(seen, coverage))
    return _failed(item, seen, seen.found, coverage)


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
        command = f"pytest {item.nodeid!r} --ftcheck-replay={token}".replace("'", "" if " " not in item.nodeid else "'")
        width = max(80, min(140, item.config.get_terminal_writer().fullwidth))
        text = render(found.interleaving, replay=command, pin=f'@pytest.mark.ftcheck(replay="{token}")', width=width)
    what = "deadlock" if deadlock else ""
    if run.failure is not None:
        inside = run.failure.exceptions[0] if isinstance(run.failure, BaseExceptionGroup) else run.failure
        first = str(inside).partition("\n")[0]
        what = " and ".join(filter(None, [what, type(inside).__name__ + (f": {first}" if first else "")]))
    return Seen(coverage, failures, deadlock, f"{what} ({_how(seen, found, coverage)})", text, token)


def _how(seen: Explored, found: Found, coverage: Coverage) -> str:
    if seen.exploration is None:
        return "replayed" + ("" if seen.followed else ", though not every decision of the token could be followed")
    text = f"schedule {coverage.rounds}"
    if found.minimised is None:
        return f"{text}; it did not come back when the same schedule was run again: something is not deterministic"
    number = found.minimised.schedule.preemptions
    least = ", the fewest there are" if found.minimised.proved and number else ""
    return f"{text}, {number} preemption{'' if number == 1 else 's'}{least}"


def _why_not_checked(seen: Explored, coverage: Coverage) -> str:
    if seen.exploration is None:
        return "" if seen.followed else "the token's decisions could not all be followed, and nothing failed"
    if seen.exploration.threads < 3 and not seen.copies and coverage.threads < 1:
        return "it started no thread"
    if sum(seen.exploration.endings.values()) >= seen.exploration.schedules:
        return f"every schedule was given up: {', '.join(seen.exploration.endings)}"
    return ""


def _coverage(seen: Explored) -> Coverage:
    exploration = seen.exploration
    if exploration is None:
        threads = max(seen.copies, 2)
        nothing = Interleavings(False, 1, 1.0, (0, 0.0, 0))
        failed = int(seen.found is not None)
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
    )


def _folder_of(package: str) -> str:
    try:
        spec = importlib.util.find_spec(package)
    except ImportError, ValueError:
        spec = None
    if spec is None:
        raise SettingsError(f"scope: there is no package {package!r} to explore; is it installed?")
    if spec.submodule_search_locations:
        return os.path.abspath(next(iter(spec.submodule_search_locations))) + os.sep
    return os.path.abspath(spec.origin or "")

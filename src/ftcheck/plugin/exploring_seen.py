"""What exploring a test has shown, in the words of the plugin: coverage, failures, one line, the interleaving, the token."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from _pytest.python import Function

from ftcheck import interpreter
from ftcheck.coverage import Coverage, Interleavings, counted
from ftcheck.native.races import Found as Races
from ftcheck.report.interleaving import render
from ftcheck.verdicts import ThreadFailure

if TYPE_CHECKING:
    from ftcheck.explore.engine import Explored, Found
    from ftcheck.explore.search import Exploration


@dataclass(frozen=True, slots=True)
class Seen:
    """What exploring a test has shown.

    :param deadlock: the failing interleaving ends in one; **races**: data races in it, in extensions.
    :param headline: one line for the finding; empty where there is none.
    :param text: the interleaving, for people; **token**: to run it again.
    :param not_run: why nothing was run, which is an error; **alone**: why it has yet to be run, alone.
    :param output_of: the interleaving whose output is shown.
    :param copies: of the test, that ran at once; 0: it brought its own threads.
    """

    coverage: Coverage
    failures: Sequence[ThreadFailure] = ()
    deadlock: bool = False
    races: Races = field(default_factory=Races)
    headline: str = ""
    text: str = ""
    token: str = ""
    not_checked: str = ""
    not_run: str = ""
    alone: str = ""
    output_of: int = 1
    copies: int = 0

    def who_writes(self, copy: int, thread: str, interleaving: int) -> str:
        """Whose output it is: that of a copy of the test, or of a thread that it has started."""
        if not self.copies:
            return thread or "the test"
        return f"copy {copy + 1}{f', {thread}' if thread and not thread.startswith('concurrently-') else ''}"


def failed_as(item: Function, seen: Explored, found: Found, coverage: Coverage) -> Seen:
    run, token = found.run, str(found.token or "")
    deadlock = run.ending.name == "DEADLOCK"
    failures = [] if run.failure is None else [ThreadFailure(-1, coverage.rounds, "body", run.failure)]
    text = ""
    if found.interleaving is not None:
        command = f"pytest {shlex.quote(_from_here(item))} --ftcheck-replay={token}"
        width = max(80, min(140, item.config.get_terminal_writer().fullwidth))
        text = render(found.interleaving, replay=command, pin=f'@pytest.mark.ftcheck(replay="{token}")', width=width)
    races = Races() if run.races is None else run.races.found()
    what = "deadlock" if deadlock else races.headline if races.races and run.failure is None else ""
    if run.failure is not None:
        inside = run.failure.exceptions[0] if isinstance(run.failure, BaseExceptionGroup) else run.failure
        first = str(inside).partition("\n")[0]
        what = " and ".join(filter(None, [what, type(inside).__name__ + (f": {first}" if first else "")]))
    return Seen(coverage, failures, deadlock, races, f"{what} ({_how(seen, found, coverage)})", text, token)


def _from_here(item: Function) -> str:
    """A test's node id as it is typed in the folder where pytest was started."""
    path, colons, name = item.nodeid.partition("::")
    return f"{os.path.relpath(item.config.rootpath / path, item.config.invocation_params.dir)}{colons}{name}"


def _how(seen: Explored, found: Found, coverage: Coverage) -> str:
    if seen.known:
        return f"schedule {coverage.rounds}, from the example database, {_preemptions(found.run.preemptions)}"
    if seen.exploration is None:
        met = f", though not every decision of the token could be followed: {seen.diverged}" if seen.diverged else ""
        return f"replayed{met}"
    text = f"schedule {coverage.rounds}"
    if found.minimised is None:
        return f"{text}; it did not come back when the same schedule was run again: {found.differs}"
    number = found.minimised.schedule.preemptions
    least = ", the fewest there are" if found.minimised.proved and number else ""
    return f"{text}, {_preemptions(number)}{least}"


def _preemptions(number: int) -> str:
    return f"{number} preemption{'' if number == 1 else 's'}"


def why_not_checked(seen: Explored, coverage: Coverage) -> str:
    if seen.exploration is None:
        return ""
    if seen.exploration.threads < 3 and not seen.copies and coverage.threads < 1:
        return "it started no thread"
    if seen.exploration.limit == "left":
        return (
            "it waits for a thread that ended with the schedule that had started it, such as a service that a module keeps: "
            "put that module back at the beginning of the test"
        )
    if sum(seen.exploration.endings.values()) >= seen.exploration.schedules:
        return f"every schedule was given up: {', '.join(_GIVEN_UP.get(one, one) for one in seen.exploration.endings)}"
    return ""


_GIVEN_UP = {
    "too long": "it went on for ever, as in a livelock, or is longer than what is run of one",
    "too many threads": "it starts more threads than can be controlled",
}
"""Endings of the engine, in words."""


def coverage_of(seen: Explored) -> Coverage:
    exploration = seen.exploration
    if exploration is None:
        threads = seen.copies or max(seen.threads, 0)
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
        watched=(f"within {counted(exploration.extensions, 'extension')}, too",) if exploration.extensions else (),
    )


def _interleavings(exploration: Exploration) -> Interleavings:
    spread = exploration.decisions
    return Interleavings(
        complete=exploration.complete,
        number=exploration.interleavings,
        missing=exploration.missing[2],
        decisions=(spread.least, round(spread.mean, 1), spread.most),
        timed=exploration.timed,
        left=exploration.left,
        within=exploration.within,
        cut=sum(exploration.endings.values()),
        deterministic=exploration.deterministic,
        differs=exploration.differs,
        uncontrolled=exploration.uncontrolled,
        outside=exploration.outside,
        candidates=exploration.candidates,
    )

"""One test, rerun concurrently: the test as a workload, and what its outcome means to pytest.

``item.runtest`` of a selected test is replaced by :meth:`ConcurrentRun.runtest`; everything around it (set-up of wider
fixtures, capture, logging, xfail, reports, every other plugin's hooks) stays pytest's own, once per test.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import sys
import traceback
import types
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from _pytest._code.code import ExceptionChainRepr, ReprFileLocation, ReprTraceback, TerminalRepr
from _pytest.outcomes import Exit, Skipped, XFailed
from _pytest.python import Function

from ftcheck import interpreter, stress, workload
from ftcheck.coverage import Coverage
from ftcheck.native import races, strict, watch
from ftcheck.plugin import clones, ended, given
from ftcheck.plugin.ended import SKIPS
from ftcheck.plugin.fixture_users import OUR_FOLDERS
from ftcheck.plugin.output import Kind, Output
from ftcheck.plugin.parameters import Parameters
from ftcheck.plugin.subject import ItemWorkload
from ftcheck.settings import Settings
from ftcheck.verdicts import FailureGroup, Finding, ThreadFailure, Verdict, group_failures

_PACKAGE = sys.modules["ftcheck"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the process in which tests run has to do with the rerunning of one.

    :param heartbeat: called with the number of each round as it begins; with 0 before the test is run alone.
    :param on_stall: called when a round does not end; in a worker it does not come back.
    :param note_output: called with each piece of output (:class:`ftcheck.plugin.output.Output`).
    :param bystanders: native ids of threads that take no part in any deadlock.
    :param watch: sees calls that must not be made by two threads at a time.
    :param replaced: sees functions of modules being replaced.
    :param came_back: called on a thread when it comes back from the test's code, with what that raised, or None.
    """

    heartbeat: Callable[[int], object] = lambda round: None
    on_stall: Callable[[stress.Stall], object] = lambda stall: None
    note_output: Callable[[int, int, Kind, str], object] | None = None
    bystanders: Collection[int] = ()
    watch: stress.ProcessWatch | None = None
    replaced: stress.GlobalsWatch | None = None
    came_back: Callable[[BaseException | None], None] = lambda failure: None


class ConcurrentRun:
    """Stands in for ``item.runtest`` of one test, and keeps what came of it.

    :param seed: the run's seed; the test's own is made from it and the node id.
    """

    def __init__(self, item: Function, settings: Settings, seed: int, surroundings: Surroundings) -> None:
        self.item, self.settings, self._surroundings = item, settings, surroundings
        self._seed = zlib.crc32(f"{seed}/{item.nodeid}".encode())
        self.coverage: Coverage | None = None
        self.finding: Finding | None = None
        self.not_checked = ""
        self.used: dict[int, clones.Definition] = {}
        self._groups: list[tuple[FailureGroup, ThreadFailure]] = []
        self._found = races.Found()

    def install(self) -> None:
        """Let pytest run the test through this object."""
        self.item.runtest = self.runtest  # type: ignore[method-assign]
        self.item.repr_failure = self.repr_failure  # type: ignore[method-assign]

    def runtest(self) -> None:
        """Run the rounds; raise what the threads raised.

        :raises BaseExceptionGroup: failures of one or several threads, one of each kind.
        :raises Skipped, XFailed: no thread failed, and at least one was skipped, or failed as expected.
        """
        __tracebackhide__ = True
        item, output = self.item, Output(self._surroundings.note_output)
        parameters = Parameters(item, self.settings)
        subject = ItemWorkload(item, self.settings, self._surroundings.heartbeat, parameters, output)
        clones.finish_per_test_fixtures(item)
        if parameters.why_alone:
            self._run_alone(subject, parameters.why_alone)
            return
        if self.settings.interpreters is not None:
            self._in_interpreters(subject)
            return
        if self.settings.explore or self.settings.replay:
            self._explore(subject, output)
            return
        given.adapt(item.obj)
        gil_before = interpreter.gil_enabled()

        def settled(failures: Sequence[ThreadFailure]) -> bool:
            output.close_round({failure.round for failure in failures})
            return interpreter.gil_enabled() is not gil_before or ended.all_skipped(failures, self.settings.threads)

        conditions = stress.Conditions(
            seed=self._seed,
            settled=settled,
            bystanders=self._surroundings.bystanders,
            watch=self._surroundings.watch,
            replaced=self._surroundings.replaced,
            begin_thread=self._thread_hook(),
            came_back=self._surroundings.came_back,
        )
        rule = self.settings.native
        with _streams_restored(), output.kept_apart(item.config), watch.watched(self._seed, rule=rule) as found:
            outcome = stress.run(subject, self.settings, conditions, own_threads=_calls_concurrently(item.obj))
        self.used, self._found = subject.used, found()
        if outcome.alone:
            self._run_alone(subject, outcome.alone)
            return
        looked = dataclasses.replace(outcome.coverage, watched=self._found.seen.words)
        self.coverage = strict.with_possible(looked, self._found, rule)
        if outcome.stall is not None:
            self._surroundings.on_stall(outcome.stall)
            self.finding = self._with_races(ended.stall_finding(item.nodeid, outcome.stall, self.coverage))
            raise ended.StalledError(self.finding.headline)
        try:
            self._judge(outcome.failures)
        finally:
            output.add_sections(item, {failure.round for _, failure in self._groups})

    def _explore(self, subject: ItemWorkload, output: Output) -> None:
        __tracebackhide__ = True
        from ftcheck.plugin import exploring  # and with it the report of an interleaving: only where one is asked for
        from ftcheck.plugin.exploring_alone import Alone

        own_threads = _calls_concurrently(self.item.obj)
        alone = Alone(self.settings, self._surroundings.watch, self._surroundings.replaced)
        with _streams_restored(), output.kept_apart(self.item.config), watch.left_out(self.settings.native):
            seen = exploring.explore_item(
                self.item, subject, self.settings, self._seed, own_threads, output, ended.outcome_in, alone
            )
        if seen.alone:
            self._run_alone(subject, seen.alone)
            return
        self.used, self.coverage, self._found = subject.used, seen.coverage, seen.races
        try:
            if seen.not_run:
                self.finding = Finding(Verdict.ERROR, (self.item.nodeid,), seen.not_run, coverage=seen.coverage)
                raise ended.NotRunError(seen.not_run)
            if seen.failures:
                self._judge(seen.failures)
            elif seen.deadlock:
                self.finding = Finding(Verdict.DEADLOCK, (self.item.nodeid,), seen.headline, coverage=seen.coverage)
                raise ended.DeadlockError(seen.headline)
            elif seen.races.races:
                self.finding = Finding(Verdict.DATA_RACE, (self.item.nodeid,), seen.headline, coverage=seen.coverage)
                raise ended.DataRaceError(seen.headline)
            self.not_checked = seen.not_checked
        finally:
            output.add_sections(self.item, {seen.output_of}, seen.who_writes)
            if self.finding is not None and seen.headline:
                verdict = Verdict.DEADLOCK if seen.deadlock else self.finding.verdict
                self.finding = dataclasses.replace(
                    self.finding, verdict=verdict, headline=seen.headline, detail=seen.text, replay=seen.token
                )
                self.finding = self._with_races(self.finding)

    def _in_interpreters(self, subject: ItemWorkload) -> None:
        __tracebackhide__ = True
        from ftcheck.plugin import interpreting

        seen = interpreting.run(self.item, self.settings, self._surroundings.heartbeat)
        if seen.output:
            self.item.add_report_section("call", "output of the interpreters", seen.output)
        if seen.alone:
            self._run_alone(subject, seen.alone)
            return
        if seen.own_fault:
            self._surroundings.heartbeat(0)
            subject.run_alone()  # it may fail in this one as well: then that is what there is to say, with its whole report
        self.coverage, self.finding, self.not_checked = seen.coverage, seen.finding, seen.not_checked
        if self.finding is not None:
            raise ended.InterpretersError(self.finding.headline)
        if seen.skipped:
            raise Skipped(seen.skipped)

    def _run_alone(self, subject: ItemWorkload, reason: str) -> None:
        __tracebackhide__ = True
        self.not_checked = reason
        self._surroundings.heartbeat(0)
        subject.run_alone()

    def _thread_hook(self) -> Callable[[int], Callable[[], object] | None]:
        hook = self.item.ihook.pytest_ftcheck_thread
        if not hook.get_hookimpls():
            return lambda number: None

        def begin_thread(number: int) -> Callable[[], object]:
            ends = hook(item=self.item, thread=number)

            def end_thread() -> None:
                with contextlib.ExitStack() as stack:
                    for end in ends:
                        stack.callback(end)

            return end_thread

        return begin_thread

    def _judge(self, failures: Sequence[ThreadFailure]) -> None:
        __tracebackhide__ = True
        coverage = self.coverage
        assert coverage is not None
        failures = [part for one in failures for part in ended.parts(one)]
        exits = [one.exception for one in failures if isinstance(one.exception, Exit)]
        if exits:
            raise exits[0]
        real = [one for one in failures if not isinstance(one.exception, (*SKIPS, XFailed))]
        if real:
            self._groups = group_failures(real, OUR_FOLDERS)
            groups = tuple(group for group, _ in self._groups)
            verdict = Verdict.ERROR if all(group.phase in ("set-up", "teardown") for group in groups) else Verdict.FAILURE
            self.finding = Finding(
                verdict=verdict,
                tests=(self.item.nodeid,),
                headline=f"{ended.how_often(groups, coverage)}: {groups[0].headline}",
                groups=groups,
                coverage=coverage,
            )
            self.finding = self._with_races(self.finding)
            raise BaseExceptionGroup(self.finding.headline, [failure.exception for _, failure in self._groups])
        if self._found.races:
            self.finding = self._with_races(
                Finding(Verdict.DATA_RACE, (self.item.nodeid,), self._found.headline, coverage=coverage)
            )
            raise ended.DataRaceError(self.finding.headline)
        for expected in (XFailed, *SKIPS):
            for one in failures:
                if isinstance(one.exception, expected):
                    raise one.exception
        if coverage.overlapped == 0:
            self.not_checked = f"no two threads overlapped in any of {coverage.rounds} rounds"
        elif coverage.gil and interpreter.free_threaded_build() and interpreter.gil_forced() is None:
            self.not_checked = "the GIL was on, so nothing ran in parallel"

    def _with_races(self, finding: Finding) -> Finding:
        return dataclasses.replace(finding, detail="\n\n".join(filter(None, [finding.detail, races.text(self._found)])))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **kwargs: Any) -> str | TerminalRepr:
        """Each kind of failure with pytest's own rendering, under a line that counts it."""
        render = types.MethodType(type(self.item).repr_failure, self.item)
        if isinstance(excinfo.value, ended.TOLD) and self.finding is not None:
            return "\n\n".join(filter(None, [self.finding.headline, self.finding.detail]))
        if self.finding is None or not isinstance(excinfo.value, BaseExceptionGroup):
            plain: str | TerminalRepr = render(excinfo)
            return plain
        chain: list[tuple[ReprTraceback, ReprFileLocation | None, str | None]] = []
        blank = ReprTraceback([], None, "short")
        for group, failure in self._groups:
            assert self.coverage is not None
            where = "" if group.phase == "body" else f" in {group.phase}"
            chain.append((blank, None, f"--- {ended.how_often((group,), self.coverage)}{where} ---"))
            rendered: str | TerminalRepr
            if failure.exception.__traceback__ is None:  # a builtin was the body of a thread, and has raised it
                rendered = "".join(traceback.format_exception(failure.exception)).rstrip()
            else:
                rendered = render(pytest.ExceptionInfo.from_exception(failure.exception))
            if isinstance(rendered, ExceptionChainRepr):
                chain.extend(rendered.chain)
            else:
                chain.append((ReprTraceback([], str(rendered), "native"), None, None))
        location = self._groups[0][0].location
        crash = ReprFileLocation(location.file, location.line, self.finding.headline) if location else None
        shown = ExceptionChainRepr([*chain, (blank, crash, None)])
        if self.finding.detail:
            shown.addsection("data races" if self._found.races else "interleaving", self.finding.detail, "-")
        return shown


@contextlib.contextmanager
def _streams_restored() -> Iterator[None]:
    """Put the standard streams back, which two copies of a test may have exchanged and put back in the wrong order."""
    before = sys.stdin, sys.stdout, sys.stderr
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before


def _calls_concurrently(function: Any, depth: int = 2) -> bool:
    """Whether a function, or one that it calls by name, calls :func:`ftcheck.concurrently`. A guess: see the engine."""
    function = inspect.unwrap(getattr(function, "__func__", function))
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    names = _names(code)
    scope = getattr(function, "__globals__", {})
    for name in names:
        value = scope.get(name)
        if value is workload.concurrently or (value is _PACKAGE and "concurrently" in names):
            return True
        if depth and isinstance(value, types.FunctionType) and _calls_concurrently(value, depth - 1):
            return True
    return False


def _names(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names

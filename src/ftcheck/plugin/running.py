"""One test, rerun concurrently: the test as a workload, and what its outcome means to pytest.

``item.runtest`` of a selected test is replaced by :meth:`ConcurrentRun.runtest`; everything around it (set-up of wider
fixtures, capture, logging, xfail, reports, every other plugin's hooks) stays pytest's own, once per test.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import sys
import threading
import types
import unittest
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import pytest
from _pytest._code.code import ExceptionChainRepr, ReprFileLocation, ReprTraceback, TerminalRepr
from _pytest.outcomes import Exit, Skipped, XFailed
from _pytest.python import Function

from ftcheck import interpreter, stress, workload
from ftcheck.plugin import clones, evidence
from ftcheck.settings import Settings
from ftcheck.verdicts import Coverage, FailureGroup, Finding, ThreadFailure, Verdict, group_failures

OUR_FOLDERS = (__file__.rpartition("plugin")[0], threading.__file__)
_PACKAGE = sys.modules["ftcheck"]
_SKIPS = (Skipped, unittest.SkipTest)


class ItemWorkload:
    """A test item as an engine sees it (:class:`ftcheck.workload.Workload`)."""

    def __init__(self, item: Function, settings: Settings, heartbeat: Callable[[int], None]) -> None:
        self._item, self._settings, self._heartbeat = item, settings, heartbeat
        self._body = clones.plain_body(item)
        self._lock = threading.RLock()
        self._clones: dict[int, clones.Clone] = {}
        self._round_clone: clones.Clone | None = None
        self._shared: dict[str, clones.Definition] = {}
        self.used: dict[int, clones.Definition] = {}
        self._stash = clones.copy_of(item.stash)
        self._to_share = [name for name in clones.per_test_fixtures(item) if settings.shares(name)]

    @property
    def repeatable(self) -> bool:
        return self._body is not None

    def open_round(self, round: int) -> None:
        self._heartbeat(round)
        if self._to_share:
            self._round_clone = clones.Clone(self._item, {}, self._stash, self._lock)
            self._shared = self._round_clone.share(self._to_share)

    def prepare(self, thread: int, round: int) -> Callable[[], object]:
        if self._body is not None:
            return self._body
        clone = self._clones[thread] = clones.Clone(self._item, self._shared, self._stash, self._lock)
        clone.set_up()
        return clone.run

    def cleanup(self, thread: int, round: int) -> None:
        clone = self._clones.pop(thread, None)
        if clone is not None:
            self.used |= {id(one): one for one in clone.item._request._fixture_defs.values()}
            clone.tear_down()

    def close_round(self, round: int) -> None:
        clone, self._round_clone, self._shared = self._round_clone, None, {}
        if clone is not None:
            clone.tear_down()


class ConcurrentRun:
    """Stands in for ``item.runtest`` of one test, and keeps what came of it.

    :param seed: the run's seed; the test's own is made from it and the node id.
    :param heartbeat: called with the number of each round as it begins.
    :param on_stall: called when a round does not end; in a worker it does not come back.
    """

    def __init__(
        self,
        item: Function,
        settings: Settings,
        seed: int,
        *,
        heartbeat: Callable[[int], None] = lambda round: None,
        on_stall: Callable[[stress.Stall], None] = lambda stall: None,
        bystanders: Collection[int] = (),
    ) -> None:
        self.item, self.settings = item, settings
        self._seed = zlib.crc32(f"{seed}/{item.nodeid}".encode())
        self._heartbeat, self._on_stall, self._bystanders = heartbeat, on_stall, bystanders
        self.coverage: Coverage | None = None
        self.finding: Finding | None = None
        self.not_checked = ""
        self.used: dict[int, clones.Definition] = {}
        self._groups: list[tuple[FailureGroup, ThreadFailure]] = []

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
        item = self.item
        subject = ItemWorkload(item, self.settings, self._heartbeat)
        clones.finish_per_test_fixtures(item)
        _let_hypothesis_have_instances(item.obj)
        gil_before = interpreter.gil_enabled()
        with _patched_globals_restored():
            outcome = stress.run(
                subject,
                self.settings,
                seed=self._seed,
                own_threads=_calls_concurrently(item.obj),
                settled=lambda failures: (
                    interpreter.gil_enabled() is not gil_before or _all_skipped(failures, self.settings.threads)
                ),
                bystanders=self._bystanders,
            )
        self.coverage, self.used = outcome.coverage, subject.used
        if outcome.stall is not None:
            self._on_stall(outcome.stall)
            self.finding = stall_finding(item.nodeid, outcome.stall, outcome.coverage)
            raise StalledError(self.finding.headline)
        self._judge(outcome.failures)

    def _judge(self, failures: Sequence[ThreadFailure]) -> None:
        __tracebackhide__ = True
        coverage = self.coverage
        assert coverage is not None
        exits = [one.exception for one in failures if isinstance(one.exception, Exit)]
        if exits:
            raise exits[0]
        failures = [part for one in failures for part in _parts(one)]
        real = [one for one in failures if not isinstance(one.exception, (*_SKIPS, XFailed))]
        if real:
            self._groups = group_failures(real, OUR_FOLDERS)
            groups = tuple(group for group, _ in self._groups)
            verdict = Verdict.ERROR if all(group.phase in ("set-up", "teardown") for group in groups) else Verdict.FAILURE
            self.finding = Finding(
                verdict=verdict,
                tests=(self.item.nodeid,),
                headline=f"{how_often(groups, coverage)}: {groups[0].headline}",
                groups=groups,
                coverage=coverage,
            )
            raise BaseExceptionGroup(self.finding.headline, [failure.exception for _, failure in self._groups])
        for expected in (XFailed, *_SKIPS):
            for one in failures:
                if isinstance(one.exception, expected):
                    raise one.exception
        if coverage.overlapped == 0:
            self.not_checked = f"no two threads overlapped in any of {coverage.rounds} rounds"
        elif coverage.gil and interpreter.free_threaded_build() and interpreter.gil_forced() is None:
            self.not_checked = "the GIL was on, so nothing ran in parallel"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **kwargs: Any) -> str | TerminalRepr:
        """Each kind of failure with pytest's own rendering, under a line that counts it."""
        render = types.MethodType(type(self.item).repr_failure, self.item)
        if isinstance(excinfo.value, StalledError) and self.finding is not None:
            return f"{self.finding.headline}\n\n{self.finding.detail}"
        if self.finding is None or not isinstance(excinfo.value, BaseExceptionGroup):
            plain: str | TerminalRepr = render(excinfo)
            return plain
        chain: list[tuple[ReprTraceback, ReprFileLocation | None, str | None]] = []
        blank = ReprTraceback([], None, "short")
        for group, failure in self._groups:
            assert self.coverage is not None
            where = "" if group.phase == "body" else f" in {group.phase}"
            chain.append((blank, None, f"--- {how_often((group,), self.coverage)}{where} ---"))
            rendered = render(pytest.ExceptionInfo.from_exception(failure.exception))
            if isinstance(rendered, ExceptionChainRepr):
                chain.extend(rendered.chain)
            else:
                chain.append((ReprTraceback([], str(rendered), "native"), None, None))
        location = self._groups[0][0].location
        crash = ReprFileLocation(location.file, location.line, self.finding.headline) if location else None
        return ExceptionChainRepr([*chain, (blank, crash, None)])


def _parts(failure: ThreadFailure) -> list[ThreadFailure]:
    """The failures of the bodies, where a test brought its own threads: what ``concurrently()`` raised, taken apart."""
    if not isinstance(failure.exception, workload.BaseConcurrentFailures):
        return [failure]
    return [dataclasses.replace(failure, exception=part) for part in failure.exception.exceptions]


@contextlib.contextmanager
def _patched_globals_restored() -> Iterator[None]:
    """Put back what a test exchanges for its own time, and two copies of it put back in the wrong order.

    doctest does so with ``linecache.getlines``: what is left then calls itself for ever, and no traceback can be shown in
    this process any more, of no test.
    """
    modules = {name: sys.modules[name] for name, _ in _EXCHANGED if name in sys.modules}
    before = [(modules[module], name, getattr(modules[module], name)) for module, name in _EXCHANGED if module in modules]
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


_EXCHANGED = (
    ("linecache", "getlines"),
    ("pdb", "set_trace"),
    ("sys", "stdin"),
    ("sys", "stdout"),
    ("sys", "stderr"),
    ("sys", "displayhook"),
)


class StalledError(Exception):
    """A round did not end, and the test could not be ended by ending its process."""


def stall_finding(nodeid: str, stall: stress.Stall, coverage: Coverage | None) -> Finding:
    """The finding for a round that does not end."""
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
    )


def how_often(groups: Sequence[FailureGroup], coverage: Coverage) -> str:
    """``2 of 2 threads, 17 of 200 rounds``; for a test with its own threads only the rounds."""
    rounds = {number for group in groups for number in group.rounds}
    threads = {number for group in groups for number in group.threads if number >= 0}
    text = f"{len(rounds)} of {coverage.rounds} rounds"
    if coverage.calls > coverage.rounds and threads:
        text = f"{len(threads)} of {coverage.threads} threads, {text}"
    return text


def _all_skipped(failures: Sequence[ThreadFailure], threads: int) -> bool:
    """Whether in some round every thread was skipped: then every round will be. ``pytest.exit()`` ends it at once."""
    skipped: dict[int, set[int]] = {}
    for one in failures:
        if isinstance(one.exception, Exit):
            return True
        if isinstance(one.exception, (*_SKIPS, XFailed)):
            skipped.setdefault(one.round, set()).add(one.thread)
    return any(len(who) >= threads for who in skipped.values())


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


def _let_hypothesis_have_instances(function: Any) -> None:
    """Each thread has an instance of the test class of its own; Hypothesis takes that for a mistake unless it is told."""
    function = getattr(function, "__func__", function)
    given = getattr(function, "_hypothesis_internal_use_settings", None)
    if given is not None:
        from hypothesis import HealthCheck, settings

        allowed = {*given.suppress_health_check, HealthCheck.differing_executors}
        function._hypothesis_internal_use_settings = settings(given, suppress_health_check=allowed)


def _names(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names

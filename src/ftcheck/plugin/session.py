"""Hooks of the process that runs tests: a worker, or the only process there is.

For each test: decide how it is run (``selection.py``), hand it to ``running.py``, and put onto its reports what the
process that prints needs: ``report.ftcheck``, plain data that survives xdist's channel.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.fixtures import FixtureDef, SubRequest
from _pytest.python import Function

from ftcheck import interpreter, settings
from ftcheck.forked import Forks
from ftcheck.interpreter import GilEvent, GilWatch
from ftcheck.native import watch
from ftcheck.option_table import SettingsError
from ftcheck.plugin import cov, run_parallel, their_fixtures
from ftcheck.plugin.fixture_users import FixtureUsers, leaves_of
from ftcheck.plugin.options import carrying
from ftcheck.plugin.run_options import RunOptions
from ftcheck.plugin.selection import MARKERS, Plan, marker_settings, plan
from ftcheck.plugin.summary import own_failure
from ftcheck.verdicts import Finding, Verdict, to_plain

if TYPE_CHECKING:
    from ftcheck import stress
    from ftcheck.plugin.guard import Guard
    from ftcheck.plugin.running import ConcurrentRun
    from ftcheck.plugin.watches import Watches

_RUN: pytest.StashKey[ConcurrentRun] = pytest.StashKey()
_PLAN = pytest.StashKey[Plan]()
_THEIR_LIMIT = pytest.StashKey[float]()


class SessionPlugin:
    """Registered as ``ftcheck-session``.

    :param guard: present in a worker of ours; None where tests run in the process that prints.
    :param watch: has been watching the GIL since before the first conftest.py, if the run was asked for.
    :param forks: the children that tests fork.
    """

    def __init__(self, run: RunOptions, guard: Guard | None, watch: GilWatch, forks: Forks) -> None:
        self._run, self._guard, self._gil, self._forks = run, guard, watch, forks
        self._timeout = settings.resolve(run.layers).timeout
        self._gil_at_collection: dict[str, GilEvent] = {}
        self._gil_event: GilEvent | None = None
        self._restart = ""
        self._wrong_selection = ""
        self._users = FixtureUsers()
        self._bystanders: frozenset[int] = frozenset()
        self._watches: Watches | None = None
        self._asked = False
        self.stalled = False
        self.own_findings: list[Finding] = []

    # --- session and collection ------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        if self._run.asked:
            run_parallel.take_over(session.config)
        self.begin()

    def begin(self) -> None:
        """Look at how things stand before the first test: threads, and the GIL."""
        if interpreter.free_threaded_build() and interpreter.gil_enabled() and not interpreter.gil_forced():
            # Before any test file: a plugin, a conftest.py, or a module that was imported at the start.
            self._gil_at_collection[""] = self._gil.take() or GilEvent(interpreter.asking())
        self._gil.install()
        watch.begin(self._guard.races_file if self._guard is not None else None)
        if self._guard is not None:
            self._guard.take_over_faulthandler()
        self._bystanders = _threads_now()

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        output = getattr(session.config, "workeroutput", None)
        pending = sys.exception()
        if output is not None and isinstance(pending, pytest.UsageError):
            output["ftcheck_usage"] = [str(message) for message in pending.args]  # xdist has no place for it
        event = self._gil_at_collection.get("")
        if event is not None and self._asked:
            finding = Finding(Verdict.GIL_ENABLED, ("(before collection)",), event.text, phase="collection")
            if output is None:
                self.own_findings.append(finding)
            else:
                output["ftcheck_findings"] = to_plain([finding])
        return (yield)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        self._gil.uninstall()
        if self._watches is not None:
            self._watches.uninstall()
        if self._guard is not None:
            self._guard.stop()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        if self._guard is not None:
            self._guard.step("collection", collector.nodeid, self._timeout)
        report = yield
        if self._guard is not None:
            self._guard.step("collection", "", None)  # a death from here on is not this file's
        event = self._gil.take()
        if event is not None:
            self._gil_at_collection[collector.nodeid] = event
        wrong = [] if self._run.off else self._wrong_markers(report.result or ())
        if wrong and not report.failed:
            report.outcome, report.result = "failed", []
            report.longrepr = "\n".join(wrong)
            report.ftcheck = {"usage": True, "reason": "", "coverage": None, "findings": []}  # type: ignore[attr-defined]
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self._run.layers[1].get("replay") is not None and len(items) > 1:
            self._wrong_selection = (
                f"--ftcheck-replay runs one test, and {len(items)} are selected. Name the one that the token is of, "
                "as the line 'run it again' of its report does."
            )
            items.clear()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Not before xdist has sent what was collected, which its controlling process waits for."""
        if self._wrong_selection:
            raise pytest.UsageError(self._wrong_selection)
        if not session.config.option.collectonly:
            from ftcheck.plugin import running, watches  # noqa: F401  # the engine, before a test or fixture changes anything

    def _wrong_markers(self, nodes: Iterable[pytest.Item | pytest.Collector]) -> list[str]:
        wrong: dict[str, None] = {}
        for item in carrying(nodes, MARKERS):
            try:
                if isinstance(item, pytest.Item):
                    marker_settings(item, self._run)
            except SettingsError as error:
                wrong[str(error)] = None
        return list(wrong)

    # --- one test ----------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        if self._restart and self._guard is not None:
            self._guard.restart(self._restart)
        how = item.stash[_PLAN] = plan(item, self._run)
        if how.asked:
            at = their_fixtures.ALONE if how.settings is None else their_fixtures.position(how.settings)
            item.stash[their_fixtures.POSITION] = at
        self._gil_event = self._gil.take()
        try:
            return (yield)
        finally:
            if self._guard is not None:
                cov.save()
                self._guard.between()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None]:
        self._step("setup", item)
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        self._step("call", item)
        chosen = item.stash[_PLAN].settings
        if chosen is not None and isinstance(item, Function):
            from ftcheck.plugin.running import ConcurrentRun, Surroundings
            from ftcheck.plugin.watches import Watches

            self._watches = watches = self._watches or Watches(self._run)

            concurrent = ConcurrentRun(
                item,
                chosen,
                self._run.seed,
                Surroundings(
                    heartbeat=lambda number: self._round(item, number),
                    on_stall=self._on_stall,
                    note_output=None if self._guard is None else self._guard.said.note,
                    bystanders=self._bystanders,
                    watch=watches.calls(),
                    replaced=watches.replaced(),
                    came_back=self._forks.end_child,
                ),
            )
            item.stash[_RUN] = concurrent
            concurrent.install()
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: FixtureDef[Any], request: SubRequest) -> object | None:
        self._users.set_up(fixturedef)
        return their_fixtures.answer(fixturedef, request)

    @pytest.hookimpl
    def pytest_fixture_post_finalizer(self, fixturedef: FixtureDef[Any]) -> None:
        self._users.torn_down(fixturedef)

    def _on_stall(self, stall: stress.Stall) -> None:
        self.stalled = True
        if self._guard is not None:
            from ftcheck.plugin import ended

            self._guard.stalled(stall, ended.stall_finding("", stall, None).headline)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None]:
        self._step("teardown", item)
        if self._restart and self._guard is not None:
            # This process ends before the next test, so the fixtures of wider scope end with this one.
            item.session._setupstate.teardown_exact(None)
        return (yield)

    def _step(self, phase: str, item: pytest.Item) -> None:
        if self._guard is not None:
            self._guard.step(phase, item.nodeid, self._limit(item), asked=item.stash[_PLAN].asked)

    def _round(self, item: pytest.Item, number: int) -> None:
        if self._run.statics:
            from ftcheck.plugin import statics

            statics.round_begins(item.config, number)
        if self._guard is not None:
            chosen = item.stash[_PLAN].settings
            explored = chosen is not None and number > 0 and bool(chosen.explore or chosen.replay)
            self._guard.round(number, self._limit(item), explored)

    def _limit(self, item: pytest.Item) -> float:
        """Seconds for a round, or for a phase of a test that runs alone."""
        chosen = item.stash[_PLAN].settings
        timeout = chosen.timeout if chosen is not None else self._timeout
        return min(timeout, item.stash.get(_THEIR_LIMIT, timeout))

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Any) -> bool | None:
        """pytest-timeout is about to set its timer: its limit is kept by our watches, which lose nothing but this test.

        The limit is made for one run of the test; several threads may at worst run one after the other.
        """
        if item.stash.get(_PLAN, None) is None:
            return None
        chosen = item.stash[_PLAN].settings
        if chosen is None and (self._guard is None or settings.method != "thread"):
            return None  # in this thread its alarm interrupts just this test
        item.stash[_THEIR_LIMIT] = settings.timeout * (1 if chosen is None else chosen.threads)
        if chosen is not None:
            limited = dataclasses.replace(chosen, timeout=self._limit(item))
            item.stash[_PLAN] = dataclasses.replace(item.stash[_PLAN], settings=limited)
            if item.stash.get(_RUN, None) is not None:
                item.stash[_RUN].settings = limited
        if settings.func_only:
            self._step("call", item)
        return True

    # --- reports -----------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        concurrent = item.stash.get(_RUN, None) if call.when == "call" else None
        if concurrent is not None:
            _unwrap_for_xfail(item, call)
        report = yield
        findings: list[Finding] = []
        if concurrent is not None and concurrent.finding is not None and report.failed:
            findings.append(concurrent.finding)
        self._gil_event = self._gil_event or self._gil.take()
        events: list[GilEvent] = []
        if self._gil_event is not None and report.when != "setup":
            self._restart = f"the GIL came on during {item.nodeid}; the tests after it get a new process"
            events.append(self._gil_event)
            self._gil_event = None
        blamed = self._gil_at_collection.get(_module_of(item)) if report.when == "call" else None
        if blamed is not None and item.stash[_PLAN].asked:
            events.append(blamed)
        if events and report.failed and not findings:
            findings.append(own_failure(report))  # of a test that ran alone, or of a teardown: the GIL does not hide it
        findings.extend([self._gil_came_on(item, report, event) for event in events])
        if report.when == "call" and item.stash[_PLAN].asked:
            self._users.note(item, concurrent.used if concurrent is not None else {})
        if report.when != "call" and report.failed and call.excinfo is not None:
            findings.extend(self._users.accused(call.excinfo.value))
        self._users.next_phase()
        self._attach(item, report, concurrent, findings)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_exception_interact(self, node: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None]:
        """A debugger opens where a thread failed, not where that was raised again."""
        whole, concurrent = call.excinfo, node.stash.get(_RUN, None)
        found = concurrent is not None and concurrent.finding is not None and call.when == "call"
        if found and whole is not None and isinstance(whole.value, BaseExceptionGroup):
            call.excinfo = _info_of(whole.value.exceptions[0])
        try:
            return (yield)
        finally:
            call.excinfo = whole

    def _attach(
        self, item: pytest.Item, report: pytest.TestReport, concurrent: ConcurrentRun | None, findings: list[Finding]
    ) -> None:
        how = item.stash[_PLAN]
        if not how.asked and not findings:
            return
        self._asked = True
        reason = how.reason
        if concurrent is not None and concurrent.coverage is None:
            reason = concurrent.not_checked  # it turned out that it has to run alone
        elif concurrent is not None and report.passed:
            reason = concurrent.not_checked
            for event in self._gil_at_collection.values():
                reason = f"the GIL was on: {event.text}"
        coverage = concurrent.coverage if concurrent is not None else None
        report.ftcheck = {  # type: ignore[attr-defined]
            "asked": how.asked,
            "reason": reason,
            "coverage": to_plain(coverage),
            "findings": to_plain(findings),
        }
        mine = [finding.verdict.value for finding in findings if item.nodeid in finding.tests]
        if report.when == "call" and how.asked:
            verdict = mine[0] if mine else "not checked" if reason and report.passed else report.outcome
            item.user_properties.append(("ftcheck_verdict", verdict))
            if coverage is not None:
                item.user_properties.append(("ftcheck_coverage", coverage.text))

    def _gil_came_on(self, item: pytest.Item, report: pytest.TestReport, event: GilEvent) -> Finding:
        text = f"GIL re-enabled: {event.text}"
        if report.failed:
            report.sections.append(("ftcheck", text))
        else:
            report.outcome, report.longrepr = "failed", text
            report.__dict__.pop("wasxfail", None)
        return Finding(Verdict.GIL_ENABLED, (item.nodeid,), event.text, phase=str(report.when))


def _module_of(item: pytest.Item) -> str:
    module = item.getparent(pytest.Module)
    return item.nodeid if module is None else module.nodeid


def _info_of(exception: BaseException) -> pytest.ExceptionInfo[BaseException]:
    """Also of what has no traceback: a builtin was the body of a thread, and has raised it."""
    if exception.__traceback__ is None:
        try:
            raise exception
        except BaseException:  # it has one now
            pass
    return pytest.ExceptionInfo.from_exception(exception)


def _unwrap_for_xfail(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """``xfail(raises=X)`` looks at the exception's type: a group whose every leaf is an X is an X to it."""
    if call.excinfo is None or not isinstance(call.excinfo.value, BaseExceptionGroup):
        return
    for mark in item.iter_markers("xfail"):
        raises = mark.kwargs.get("raises")
        leaves = leaves_of(call.excinfo.value)
        if isinstance(raises, (type, tuple)) and all(isinstance(leaf, raises) for leaf in leaves):
            call.excinfo = _info_of(leaves[0])
            return


def _threads_now() -> frozenset[int]:
    try:
        return frozenset(int(name) for name in os.listdir("/proc/self/task"))
    except OSError:
        return frozenset({threading.get_native_id()})

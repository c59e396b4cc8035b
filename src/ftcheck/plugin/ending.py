"""How a run ends: what it could not do, its exit status, and its reports, in the process that prints.

pytest's own exit statuses keep their meaning: 0 nothing found, 1 findings, 2 interrupted, 3 internal error, 4 usage,
5 no tests. One is added, :data:`HARNESS_TROUBLE`, for a run whose silence must not be taken for an answer: it was asked
for and nothing was rerun in threads, too little did, tests are without a verdict, a report could not be written.

Order at the end of a session: findings are complete (and classified), JUnit is written, JSON is written, then the
terminal's summary, which says what of this went wrong. So this is the innermost wrapper around all that ends.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import platform
import time
from collections import Counter
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest

import ftcheck
from ftcheck import interpreter
from ftcheck.plugin import junit
from ftcheck.plugin.json_file import JsonFile
from ftcheck.plugin.options import MARKER
from ftcheck.plugin.run_options import RunOptions
from ftcheck.plugin.summary import SummaryPlugin
from ftcheck.report.model import Ending, Machine, RunReport
from ftcheck.verdicts import Finding, finding_from_plain

HARNESS_TROUBLE = 8
"""Exit status of a run that could not do what it was asked for. A finding is worse, unless verdicts are missing."""
_REASONS_SHOWN = 3


def exit_status(
    given: int,
    *,
    usage: bool = False,
    findings: bool = False,
    faults: bool = False,
    troubles: bool = False,
    incomplete: bool = False,
    enough: bool = False,
) -> int:
    """The exit status of a run.

    :param given: pytest's.
    :param usage: a marker of ours is wrong, or a test or a file that was named is not there.
    :param findings: something was found.
    :param faults: tests failed by a fault of ours.
    :param troubles: the run could not do something, such a fault included.
    :param incomplete: tests have no verdict although nobody stopped the run.
    :param enough: it was stopped by ``-x`` or ``--maxfail``; xdist calls that an interruption, pytest a failure.
    """
    if usage:
        return pytest.ExitCode.USAGE_ERROR
    if given not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED):
        return given
    if incomplete:
        return HARNESS_TROUBLE
    if given == pytest.ExitCode.INTERRUPTED:
        return pytest.ExitCode.TESTS_FAILED if enough else given
    if given == pytest.ExitCode.TESTS_FAILED:
        return HARNESS_TROUBLE if faults and not findings else given
    if findings:
        return pytest.ExitCode.TESTS_FAILED
    return HARNESS_TROUBLE if troubles else given


class EndingPlugin:
    """Registered as ``ftcheck-ending``, never in a worker."""

    def __init__(self, config: pytest.Config, run: RunOptions, summary: SummaryPlugin) -> None:
        self._config, self._run, self._summary = config, run, summary
        self._file = JsonFile(run.json) if run.json is not None else None
        if self._file is not None:
            junit.refuse_same(config, self._file.path)
            with self._without_capture():
                self._file.check()
        self._began = time.monotonic()
        self._started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self._ran: set[str] = set()
        self._failed: set[str] = set()
        self._faulty: dict[str, Finding] = {}
        self._stopped = ""
        self._enough = False
        self._written = False

    # --- what is seen on the way ------------------------------------------------------------------------------------

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome == "rerun":  # type: ignore[comparison-overlap]
            return
        self._ran.add(report.nodeid)
        if report.failed:
            findings = [finding_from_plain(one) for one in getattr(report, "ftcheck", {}).get("findings", ())]
            if findings and all(map(_is_fault, findings)):
                self._faulty[report.nodeid] = findings[0]
            else:
                self._failed.add(report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._failed.add(report.nodeid)

    @pytest.hookimpl
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        text = str(excinfo.value)
        self._stopped = text or ("interrupted by Ctrl-C" if excinfo.type is KeyboardInterrupt else excinfo.typename)
        self._enough = text.startswith("stopping after ")

    @pytest.hookimpl
    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self._stopped = self._stopped or f"internal error: {excinfo.exconly(tryshort=True)}"

    # --- the end ----------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        summary = self._summary
        summary.take_own_findings()
        report = summary.report()
        run = self._run
        wanted = run.asked or run.min_concurrent_typed or run.statics or self._file is not None
        if not (wanted or report.tests or report.general):
            return (yield)
        self._stopped = self._stopped or str(session.shouldfail or session.shouldstop or "")
        lost = self._without_verdict(session)
        troubles = [*lost, *self._faults(), *self._too_little(session, report)]
        junit.complete(self._config, report)
        with junit.may_fail(self._config) as unwritten:
            result = yield
        troubles += unwritten
        report = summary.report()  # again: workers may have been found dead only when they were to end
        given = int(session.exitstatus)

        def end() -> Ending:
            status = exit_status(
                given,
                usage=summary.wrong_usage,
                findings=bool(self._failed or report.general or self._found_before_a_rerun(report)),
                faults=bool(self._faulty),
                troubles=bool(troubles),
                incomplete=bool(lost),
                enough=self._enough and bool(self._failed),
            )
            seconds = round(time.monotonic() - self._began, 3)
            return Ending(status, self._stopped, tuple(troubles), self._started, seconds)

        ending = end()
        if self._file is not None:
            try:
                self._write(self._file, replace(self._described(report), ending=ending))
            except Exception as error:
                troubles.append(_not_written(self._file, error))
                ending = end()
        summary.ending = ending
        session.exitstatus = ending.exit_status
        return result

    def _found_before_a_rerun(self, report: RunReport) -> bool:
        """What was found in threads stays found, though pytest-rerunfailures has the test pass in the end."""
        return any(test.verdict.is_finding and test.test not in self._faulty for test in report.tests)

    def _without_verdict(self, session: pytest.Session) -> list[str]:
        """Tests that were selected and have no result, although nobody stopped the run."""
        isolation: Any = self._config.pluginmanager.getplugin("ftcheck-isolation")
        gave_up = getattr(isolation, "gave_up", "")
        missing = session.testscollected - len(self._ran)
        judged = self._run.asked and not self._stopped and not self._config.option.collectonly
        if not gave_up and (missing <= 0 or not judged):
            return []
        if not gave_up:
            distribution: Any = self._config.pluginmanager.getplugin("dsession")
            gave_up = getattr(distribution, "_summary_report", None) or "the reason is not known"
        number = f"{missing} of {session.testscollected}" if session.testscollected else "the"
        self._stopped = f"{number} selected tests have no result: {gave_up}"
        return [f"the run was given up, {self._stopped}"]

    def _faults(self) -> list[str]:
        """Tests whose only failure is a fault in this harness."""
        return [f"a fault of ftcheck itself in {test}: {one.headline}" for test, one in self._faulty.items()]

    def _too_little(self, session: pytest.Session, report: RunReport) -> list[str]:
        """What was asked for and did not run concurrently."""
        least, share = self._run.min_concurrent, report.concurrent
        option = self._config.option
        only_looks = option.collectonly or option.setuponly or option.setupplan
        if self._stopped or self._run.off or only_looks or not self._ran or self._summary.wrong_usage:
            return []
        # Not: none that overlapped. On a busy machine that is luck in a small run, and an exit status must not be.
        none = not any(test.rerun for test in report.tests if test.asked)
        if none and (self._run.asked or self._run.min_concurrent_typed):
            return [f"nothing was rerun in threads, although it was asked for: {self._why_nothing(report)}"]
        if least is not None and share.whole and share.part < least * share.whole:
            return [
                f"{share.part:,} of {share.whole:,} tests ran concurrently ({share.percent}), "
                f"which is below --ftcheck-min-concurrent={float(least * 100):g}%"
            ]
        return []

    def _why_nothing(self, report: RunReport) -> str:
        asked = [test for test in report.tests if test.asked]
        if not asked:
            return f"none of the selected tests has the marker @pytest.mark.{MARKER}"
        reasons = Counter(
            f"{test.verdict.value} ({test.reason})" if test.reason else test.verdict.value for test in asked
        ).most_common()
        more = sum(number for _, number in reasons[_REASONS_SHOWN:])
        parts = [f"{number} {reason}" for reason, number in reasons[:_REASONS_SHOWN]]
        return "; ".join([*parts, f"{more} others"] if more else parts)

    # --- JSON -------------------------------------------------------------------------------------------------------

    def _described(self, report: RunReport) -> RunReport:
        """The report, with what only a file needs."""
        least = self._run.min_concurrent
        return replace(
            report,
            arguments=tuple(map(str, self._config.invocation_params.args)),
            min_concurrent=None if least is None else float(least),
            machine=Machine(
                python=platform.python_version(),
                implementation=platform.python_implementation(),
                free_threaded=interpreter.free_threaded_build(),
                gil=interpreter.gil_enabled(),
                gil_forced=interpreter.gil_forced(),
                cpus=interpreter.cpus(),
                platform=platform.platform(),
                ftcheck=ftcheck.__version__,
                pytest=pytest.__version__,
            ),
        )

    def _write(self, file: JsonFile, report: RunReport) -> None:
        from ftcheck.report.json_report import to_json

        text = json.dumps(to_json(report, where=self._summary.from_here), indent=1, allow_nan=False) + "\n"
        with self._without_capture():
            file.write(text)
        self._written = True

    def _without_capture(self) -> contextlib.AbstractContextManager[None]:
        """While pytest captures, ``/dev/stdout`` is a temporary file."""
        capture: Any = self._config.pluginmanager.getplugin("capturemanager")
        return contextlib.nullcontext() if capture is None else capture.global_and_fixture_disabled()

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._file is not None and self._written and self._config.get_verbosity() >= 0:
            terminalreporter.write_sep("-", f"generated ftcheck report: {self._file.path}")


def _is_fault(finding: Finding) -> bool:
    return bool(finding.groups) and all(group.phase == "harness" for group in finding.groups)


def _not_written(file: JsonFile, error: Exception) -> str:
    why = error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"
    old = "An older report there is as it was. " if file.replaces else ""
    return (
        f"{file.path} could not be written: {why}. {old}Make room, or name another file with --ftcheck-json, and run again."
    )

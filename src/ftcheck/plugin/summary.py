"""Hooks of the process that prints: the header, what each test is called, and the summary at the end.

It sees only reports, which may come from workers; what the session's side knows of a test is in ``report.ftcheck``.
"""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import replace
from typing import Any

import pytest
from _pytest.terminal import TerminalReporter

from ftcheck import interpreter, settings
from ftcheck.coverage import Coverage, coverage_from_plain
from ftcheck.plugin import exploring_database
from ftcheck.plugin.run_options import RunOptions
from ftcheck.report.model import Book, Ending, RunReport
from ftcheck.verdicts import Finding, Reliance, Verdict, finding_from_plain, worst


class SummaryPlugin:
    """Registered as ``ftcheck-summary``, never in a worker."""

    def __init__(self, config: pytest.Config, run: RunOptions) -> None:
        self._config, self._run = config, run
        self._book = Book()
        self._general: list[Finding] = []
        self.wrong_usage = False
        self._usage_errors: dict[str, None] = {}
        self.ending = Ending()

    # --- header -----------------------------------------------------------------------------------------------------

    def pytest_report_header(self) -> list[str]:
        run = self._run
        if not run.asked:
            return []
        lines = [f"ftcheck: {interpreter.describe()} ({sys.executable})"]
        if not interpreter.free_threaded_build():
            lines.append("ftcheck: this interpreter always has the GIL; what breaks only without it is not found here")
        chosen = settings.resolve(run.layers)
        limits = [f"{chosen.rounds} rounds" if chosen.rounds else "", f"{chosen.seconds:g} s" if chosen.seconds else ""]
        where = "isolated in a worker process" if run.isolate else f"NOT isolated ({run.why_not_isolated})"
        work = f"up to {' or '.join(filter(None, limits))} per test"
        if chosen.explore:
            number = exploring_database.schedules(self._config, chosen, exploring_database.profile(load=False))
            work = f"up to {number} controlled interleavings per test"
        who = f"{chosen.threads} threads"
        if chosen.interpreters is not None:
            who = f"{chosen.interpreters} interpreters"
        if chosen.replay is not None:
            work = "one interleaving again"
        lines.append(f"ftcheck: {who}, {work}, timeout {chosen.timeout:g} s, seed {run.seed}, {where}")
        return lines

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["ftcheck_seed"] = self._run.seed  # the header's holds in every worker

    # --- each report --------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        if report.outcome == "rerun" and getattr(report, "longrepr", None) is None:
            return "", "", ""
        data = getattr(report, "ftcheck", None)
        if data is None or not isinstance(report, pytest.TestReport):
            return None
        findings = data["findings"]
        if report.failed and findings:
            in_call = report.when == "call"
            verdict = findings[0]["verdict"]
            word = ("FAILED" if in_call else "ERROR") if verdict in ("failure", "error") else verdict.upper()
            return ("failed", "F", word) if in_call else ("error", "E", word)
        if report.when == "call" and report.passed and not hasattr(report, "wasxfail"):
            if data["reason"]:
                return "not checked", "n", "NOT CHECKED"
            coverage = coverage_from_plain(data["coverage"])
            return "passed", ".", f"PASSED ({coverage.text})" if coverage else "PASSED"
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = getattr(report, "ftcheck", None)
        if data is None:
            return
        findings = [finding_from_plain(finding) for finding in data["findings"]]
        if report.outcome == "rerun":  # type: ignore[comparison-overlap]
            later = "(and then run again by pytest-rerunfailures)"
            findings = [replace(one, headline=f"{one.headline} {later}") for one in findings]
        coverage: Coverage | None = coverage_from_plain(data["coverage"])
        verdict = _verdict(report, bool(data["reason"]) and report.when == "call")
        if report.failed and not findings:
            findings = [own_failure(report, coverage)]
        if findings:
            # A wider fixture's teardown may accuse other tests than the one whose report brings it.
            mine = [finding.verdict for finding in findings if report.nodeid in finding.tests]
            verdict = worst(mine) if mine else Verdict.PASSED
        if report.when == "call" or verdict is not Verdict.PASSED or findings:
            self._book.see(
                report.nodeid,
                verdict,
                coverage=coverage,
                reason=_skip_reason(report) or data["reason"],
                findings=findings,
                asked=data["asked"],
            )

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        data = getattr(report, "ftcheck", None)
        if data is not None:
            self._general.extend(finding_from_plain(finding) for finding in data["findings"])
            self.wrong_usage |= data.get("usage", False)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        output = getattr(node, "workeroutput", None) or {}
        for message in output.get("ftcheck_usage", ()):
            self._usage_errors[message] = None
            self.wrong_usage = True
        for finding in map(finding_from_plain, output.get("ftcheck_findings", ())):
            if finding not in self._general:
                self._general.append(finding)

    # --- the end ------------------------------------------------------------------------------------------------------

    def note(self, finding: Finding) -> None:
        """A finding about no test in particular."""
        self._general.append(finding)

    def take_own_findings(self) -> None:
        """Where tests ran in this process: what its session found about no test in particular."""
        here = self._config.pluginmanager.getplugin("ftcheck-session")
        self._general.extend(getattr(here, "own_findings", ()))

    def classify(self, test: str, reliance: Reliance) -> None:
        """What reruns say about a failing test (``classify.py``)."""
        self._book.classify(test, reliance)

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        for message in self._usage_errors:
            terminalreporter.write_line(f"ERROR: {message}", red=True)
        if not self._book and not self._general and not self.ending.troubles and not self._run.statics:
            return
        from ftcheck.report import terminal  # and with it rich, which takes longer to load than all of ours

        report = self.report()
        terminalreporter.write_sep("=", "ftcheck")
        text = terminal.render(
            report,
            width=terminalreporter._tw.fullwidth,
            colour=terminalreporter._tw.hasmarkup,
            verbose=self._config.get_verbosity(),
            where=self.from_here,
        )
        terminalreporter.write(text + "\n", flush=True)

    def from_here(self, nodeid: str) -> str:
        """A node id as it is typed in the folder where pytest was started; in reports it is relative to the rootdir."""
        path, colons, name = nodeid.partition("::")
        here, root = self._config.invocation_params.dir, self._config.rootpath
        return nodeid if here == root or not colons else f"{os.path.relpath(root / path, here)}::{name}"

    def report(self) -> RunReport:
        """Everything that was seen, added up."""
        chosen = settings.resolve(self._run.layers)
        options = settings.command_line(chosen, settings.resolve(self._run.layers[:1]))
        words = ["--ftcheck", *options, f"--ftcheck-seed={self._run.seed}"]
        if self._config.option.ftcheck_tsan_log is not None:
            words.append(f"--ftcheck-tsan-log={shlex.quote(self._config.option.ftcheck_tsan_log)}")
        static_state = None
        if self._run.statics:
            from ftcheck.plugin import statics

            static_state = statics.state_of(self._config)
        return RunReport(
            interpreter=interpreter.describe(),
            isolated=self._run.isolate,
            seed=self._run.seed,
            rerun=" ".join(words),
            tests=self._book.verdicts(),
            general=tuple(self._general),
            why_not_isolated=self._run.why_not_isolated,
            settings=chosen,
            ending=self.ending,
            statics=static_state,
        )


def _verdict(report: pytest.TestReport, not_checked: bool) -> Verdict:
    if report.failed:
        return Verdict.FAILURE if report.when == "call" else Verdict.ERROR
    if hasattr(report, "wasxfail"):
        return Verdict.EXPECTED_FAILURE if report.skipped else Verdict.PASSED
    if report.skipped:
        return Verdict.SKIPPED
    return Verdict.NOT_CHECKED if not_checked else Verdict.PASSED


def _skip_reason(report: pytest.TestReport) -> str:
    """What a test says itself about why it was skipped, or is expected to fail."""
    if not report.skipped:
        return ""
    if hasattr(report, "wasxfail"):
        return str(report.wasxfail).removeprefix("reason: ")
    return str(report.longrepr[2]).removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""


def own_failure(report: pytest.TestReport, coverage: Coverage | None = None) -> Finding:
    """The finding of a report that has failed as in plain pytest: in one thread, or in a set-up or teardown."""
    return Finding(_verdict(report, False), (report.nodeid,), _headline(report), phase=str(report.when), coverage=coverage)


def _headline(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    message = crash.message if crash is not None else str(report.longrepr)
    return str(message).splitlines()[0] if message else "failed"

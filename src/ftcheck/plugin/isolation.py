"""Hooks of the controlling process when tests run in pytest-xdist workers: a worker's death is one test's verdict.

xdist notices that a worker died, makes a bare report for the test that it ran, and starts another worker. This plugin
asks for the one worker in the first place (``--ftcheck`` needs no ``-n``), gives each worker a place to leave evidence,
and turns xdist's bare report into what the evidence says: the signal, the phase, what every thread was doing.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from _pytest.junitxml import xml_key

from ftcheck.plugin import evidence
from ftcheck.plugin.evidence import End
from ftcheck.plugin.options import RunOptions
from ftcheck.verdicts import Finding, Verdict, to_plain

_MANY = "1000000"
_DEATHS_IN_A_ROW = 3
"""Workers that die one after the other without any test finished in between: then the cause is not a test."""


def ask_for_worker(config: pytest.Config) -> None:
    """Make xdist run the tests in one worker process, and replace it as often as it dies."""
    option = config.option
    if option.numprocesses is None and not option.tx:
        option.numprocesses = 1
    if option.maxworkerrestart is None:
        option.maxworkerrestart = _MANY


class IsolationPlugin:
    """Registered as ``ftcheck-isolation`` in the controlling process."""

    def __init__(self, config: pytest.Config, run: RunOptions) -> None:
        self._config, self._run = config, run
        self._folder = Path(tempfile.mkdtemp(prefix="ftcheck-"))
        self._ends: dict[str, End] = {}
        self._deaths = 0
        self._lost: list[str] = []

    @pytest.hookimpl
    def pytest_unconfigure(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    @pytest.hookimpl
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["ftcheck_evidence"] = str(self._folder)
        node.workerinput["ftcheck_lost"] = list(self._lost)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """xdist calls each end of a worker a crash and gives no reason; say what is known instead."""
        distribution: Any = self._config.pluginmanager.getplugin("dsession")
        for speaker, name in ((distribution, "report_line"), (getattr(distribution, "trdist", None), "write_line")):
            if speaker is not None:
                setattr(speaker, name, self._reworded(getattr(speaker, name)))

    def _reworded(self, say: Callable[[str], None]) -> Callable[[str], None]:
        def say_better(line: str) -> None:
            found = re.search(r"^\[(\w+)\] node down: |^replacing crashed worker (\w+)$", line.strip())
            end = self._ends.get(found[1] or found[2]) if found else None
            if found is None or end is None:
                say(line)
            elif found[1]:
                what = f"{end.verdict.value}: {end.headline}; a new worker takes over" if end.verdict else end.headline
                say(f"\n[{found[1]}] {what}")

        return say_better

    @pytest.hookimpl(tryfirst=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        if error is None:
            return
        end = self._ends[node.gateway.id] = evidence.read(self._folder, node.gateway.id, _exit_status(node))
        if end.verdict is None:
            return
        self._deaths += 1
        if end.now.phase == "collection" and end.now.subject:
            self._lost_at_collection(end)
        if self._deaths >= _DEATHS_IN_A_ROW:
            self._give_up(end)

    def _lost_at_collection(self, end: End) -> None:
        """A module that kills the process on import costs its own tests, not the run: the next worker leaves it out."""
        if end.now.subject in self._lost:
            return
        self._lost.append(end.now.subject)
        self._deaths = 0
        finding = _finding(end, end.now.subject)
        report = pytest.CollectReport(end.now.subject, "failed", f"{finding.headline}\n\n{finding.detail}", [])
        report.ftcheck = {"reason": "", "coverage": None, "findings": to_plain([finding])}  # type: ignore[attr-defined]
        self._config.hook.pytest_collectreport(report=report)
        distribution: Any = self._config.pluginmanager.getplugin("dsession")
        distribution._handlefailures(report)

    def _give_up(self, end: End) -> None:
        distribution: Any = self._config.pluginmanager.getplugin("dsession")
        distribution._max_worker_restart = 0
        distribution.shouldstop = (
            f"ftcheck: {self._deaths} workers died in a row without finishing a test; the last one: {end.headline}"
        )

    @pytest.hookimpl
    def pytest_runtest_logfinish(self) -> None:
        self._deaths = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport, sched: Any) -> None:
        worker = report.node.gateway.id
        end = self._ends.get(worker)
        if end is None:
            return
        started = end.now.subject == crashitem and end.now.phase in ("setup", "call", "teardown")
        if end.verdict is None or not started:
            # The worker died before this test began: it goes to the next one.
            sched.mark_test_pending(crashitem)
            report.outcome = "rerun"  # type: ignore[assignment]
            report.when = "setup"
            report.longrepr = None
            if end.verdict is None:
                return
            report = self._extra_report(end, report)
        finding = _finding(end, report.nodeid)
        self._deaths = 0
        path, _, name = report.nodeid.partition("::")
        report.location = (path, None, name.replace("::", "."))
        report.outcome = "failed"
        report.when = end.now.phase if started else "teardown"  # type: ignore[assignment]
        report.longrepr = f"{finding.verdict.value}: {finding.headline}\n\n{finding.detail}".rstrip()
        report.ftcheck = {"reason": "", "coverage": None, "findings": to_plain([finding])}  # type: ignore[attr-defined]
        report.user_properties.append(("ftcheck_verdict", finding.verdict.value))
        xml = self._config.stash.get(xml_key, None)
        if xml is not None:  # pytest copies properties from the teardown's report, and there will be none
            xml.node_reporter(report).add_property("ftcheck_verdict", finding.verdict.value)
        distribution: Any = self._config.pluginmanager.getplugin("dsession")
        distribution._handlefailures(report)  # so that -x and --maxfail count it
        if not started:
            self._config.hook.pytest_runtest_logreport(report=report)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test that goes to the next worker is no result: pytest's JUnit writer has just made an empty one of it."""
        xml = self._config.stash.get(xml_key, None)
        if xml is None or report.outcome != "rerun" or report.longrepr is not None:  # type: ignore[comparison-overlap]
            return
        empty = xml.node_reporter(report)
        for key in [key for key, reporter in xml.node_reporters.items() if reporter is empty]:
            del xml.node_reporters[key]
        xml.node_reporters_ordered.remove(empty)

    def _extra_report(self, end: End, bare: pytest.TestReport) -> pytest.TestReport:
        """A report about the test before, for a death between two tests."""
        nodeid = end.now.subject or bare.nodeid
        path = nodeid.split("::")[0]
        extra = pytest.TestReport(nodeid, (path, None, path), {}, "failed", "", "teardown")
        extra.node = bare.node  # type: ignore[attr-defined]
        return extra


def _finding(end: End, nodeid: str) -> Finding:
    where = {"setup": " in the set-up", "teardown": " in the teardown", "between": " after the test"}
    return Finding(
        verdict=end.verdict or Verdict.CRASH,
        tests=(nodeid,),
        headline=end.headline + where.get(end.now.phase, ""),
        phase=end.now.phase,
        detail=end.detail,
    )


def _exit_status(node: Any) -> int | None:
    """How the worker's process ended; xdist itself does not ask."""
    process = getattr(getattr(node.gateway, "_io", None), "popen", None)
    if process is None:
        return None
    try:
        status = process.wait(timeout=10)
    except Exception:
        return None
    return int(status)


def evidence_folder(config: pytest.Config) -> tuple[Path, str] | None:
    """In a worker of an isolated run: its evidence folder and its name."""
    given = getattr(config, "workerinput", {})
    folder = given.get("ftcheck_evidence")
    return (Path(folder), str(given["workerid"])) if folder and os.path.isdir(folder) else None

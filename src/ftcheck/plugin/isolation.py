"""Hooks of the controlling process when tests run in pytest-xdist workers: a worker's death is one test's verdict.

xdist notices that a worker died, makes a bare report for the test that it ran, and starts another worker. This plugin
asks for the one worker in the first place (``--ftcheck`` needs no ``-n``), gives each worker a place to leave evidence,
and turns xdist's bare report into what the evidence says: the signal, the phase, what every thread was doing. At the end
it waits for each worker's exit, and looks at how that went; xdist does not.
"""

from __future__ import annotations

import queue
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ftcheck import settings
from ftcheck.coverage import Coverage, Interleavings
from ftcheck.plugin import evidence, junit
from ftcheck.plugin.evidence import End
from ftcheck.plugin.interrupt import Interrupts
from ftcheck.plugin.run_options import RunOptions
from ftcheck.plugin.workers import Overseer, Worker
from ftcheck.verdicts import Finding, Verdict, to_plain

_MANY = "1000000"
_DEATHS_IN_A_ROW = 3
"""Workers that die one after the other without any test finished in between: then the cause is not a test."""
_LOST_CONNECTION = 5.0
"""Seconds for a worker to end when its connection is gone. One that has died is gone already; one whose file descriptors
were closed by a test notices at the end of the round or of the test."""
_EXIT_PATIENCE = 15.0
"""Seconds beyond the timeout for a worker's exit; it keeps to the timeout by itself, if it can."""
_INTERRUPTED_PATIENCE = 10.0
_OUTPUT_LOST = 120
"""Python's exit status where sys.stdout could not be flushed: a test has closed it, and what it had written is known."""
_LEAST_TO_START = 120.0
"""Seconds for a worker to import pytest, its plugins and the first conftest.py."""
_XDIST_SAYS = (
    r"^\[(\w+)\] node down: |^replacing crashed worker (\w+)$|^worker (\w+) crashed and worker restarting disabled$"
)


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
        self._workers: dict[str, Worker] = {}
        self._ends: dict[str, End] = {}
        self._deaths = 0
        self._lost: list[str] = []
        self.gave_up = ""
        self._restarts: int | None = None  # xdist's own number, while we keep it from replacing a worker
        self._hurried = False
        self._interrupts = Interrupts(hurry=self._hurry)
        self._interrupts.install(signal.SIGINT, signal.SIGTERM)
        self._overseer = Overseer(self._folder, lambda: list(self._workers.values()))
        self._overseer.start()

    @pytest.hookimpl
    def pytest_unconfigure(self) -> None:
        self._overseer.stop()
        self._kill_all()  # none is left, unless the session could not be finished
        self._interrupts.uninstall()
        shutil.rmtree(self._folder, ignore_errors=True)

    @pytest.hookimpl
    def pytest_configure_node(self, node: Any) -> None:
        worker = self._workers[node.gateway.id] = Worker(node)
        if worker.shares_files:
            limit = max(settings.resolve(self._run.layers).timeout, _LEAST_TO_START)
            evidence.expect(self._folder, worker.name, time.monotonic() + limit)
        node.workerinput["ftcheck_evidence"] = str(self._folder)
        node.workerinput["ftcheck_lost"] = list(self._lost)

    @property
    def _distribution(self) -> Any:
        """xdist's own plugin."""
        return self._config.pluginmanager.getplugin("dsession")

    def _hurry(self) -> None:
        self._hurried = True
        self._kill_all()

    def _kill_all(self) -> None:
        for worker in list(self._workers.values()):
            worker.kill()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """xdist calls each end of a worker a crash and gives no reason; say what is known instead."""
        distribution = self._distribution
        for speaker, name in ((distribution, "report_line"), (getattr(distribution, "trdist", None), "write_line")):
            if speaker is not None:
                setattr(speaker, name, self._reworded(getattr(speaker, name)))

    def _reworded(self, say: Callable[[str], None]) -> Callable[[str], None]:
        def say_better(line: str) -> None:
            found = re.search(_XDIST_SAYS, line.strip())
            end = self._ends.get(found[1] or found[2] or found[3]) if found else None
            if found is None or end is None:
                say(line)
            elif found[1]:
                what = f"{end.verdict.value}: {end.headline}" if end.verdict else end.headline
                takes_over = "; a new worker takes over" if end.verdict and self._restarts is None else ""
                say(f"\n[{found[1]}] {what}{takes_over}")

        return say_better

    # --- a worker has died --------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        if error is None or error == "keyboard-interrupt":
            return  # it goes on until the session's end
        if self._restarts is not None:
            self._distribution._max_worker_restart, self._restarts = self._restarts, None
        name = node.gateway.id
        worker = self._workers.pop(name, None) or Worker(node)
        failed = "" if isinstance(error, str) else str(error).rstrip()  # an exception that pytest itself does not expect
        if failed:
            worker.ask_to_end()
        status, killed = worker.ended(_LOST_CONNECTION)
        end = evidence.read(self._folder, name, status, killed=killed)
        if failed:
            end = replace(end, headline=f"an internal error in the worker: {failed.splitlines()[-1]}", detail=failed)
        self._ends[name] = end
        if end.verdict is None:
            return
        self._deaths += 1
        if end.now.phase == "collection" and end.now.subject:
            self._lost_at_collection(end)
        elif end.now.phase == "between":
            self._after_a_test(end, node)
        elif end.now.phase in ("finish", "end", "exit"):
            self._at_the_end(end, name)
        if self._deaths >= _DEATHS_IN_A_ROW:
            self._give_up(end)

    def _lost_at_collection(self, end: End) -> None:
        """A module that kills the process on import costs its own tests, not the run: the next worker leaves it out."""
        self._deaths = 0
        if end.now.subject in self._lost:  # several workers import it at the same time
            return
        self._lost.append(end.now.subject)
        finding = _finding(end, end.now.subject)
        report = pytest.CollectReport(end.now.subject, "failed", f"{finding.headline}\n\n{finding.detail}", [])
        report.ftcheck = {"reason": "", "coverage": None, "findings": to_plain([finding])}  # type: ignore[attr-defined]
        self._config.hook.pytest_collectreport(report=report)
        self._distribution._handlefailures(report)

    def _after_a_test(self, end: End, node: Any) -> None:
        """Nothing ran but what the last test had left behind: one more report about that one."""
        path = end.now.subject.split("::")[0]
        report = pytest.TestReport(end.now.subject, (path, None, path), {}, "failed", "", "teardown")
        report.node = node  # type: ignore[attr-defined]
        self._describe(report, end, "teardown")
        self._config.hook.pytest_runtest_logreport(report=report)
        junit.join_last(self._config)

    def _at_the_end(self, end: End, name: str) -> None:
        """The last test is done: a finding about the run, and no worker is needed in its place."""
        finding = _finding(end, f"(exit of worker {name})")
        after = f"after the last test in worker {name}: {end.now.subject}\n\n" if end.now.subject else ""
        finding = replace(finding, detail=f"{after}{finding.detail}".rstrip())
        summary: Any = self._config.pluginmanager.getplugin("ftcheck-summary")
        summary.note(finding)
        text = f"{finding.verdict.value}: {finding.headline}\n\n{finding.detail}".rstrip()
        report = pytest.TestReport(f"worker {name}", ("", None, f"worker {name}"), {}, "failed", text, "exit")  # type: ignore
        # Not as a test's report: it would be counted as a test, and --lf would look for it.
        terminal: Any = self._config.pluginmanager.getplugin("terminalreporter")
        if terminal is not None:
            terminal.stats.setdefault("error", []).append(report)
        junit.add_error(self._config, finding)
        distribution = self._distribution
        waiting = [getattr(distribution.sched, name, None) for name in ("pending", "workqueue")]  # by kind of scheduler
        if not any(waiting):
            self._restarts, distribution._max_worker_restart = distribution._max_worker_restart, 0

    def _give_up(self, end: End) -> None:
        self.gave_up = f"{self._deaths} workers died in a row without finishing a test; the last one: {end.headline}"
        self._distribution._max_worker_restart = 0
        self._distribution.shouldstop = f"ftcheck: {self.gave_up}"

    @pytest.hookimpl
    def pytest_runtest_logfinish(self) -> None:
        self._deaths = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport, sched: Any) -> None:
        end = self._ends.get(report.node.gateway.id)
        if end is None:
            return
        if isinstance(getattr(sched, "pending", None), list):
            sched.pending.sort()  # what the dead worker was to run has been put behind the others
        if end.verdict is None or end.now.subject != crashitem or end.now.phase not in ("setup", "call", "teardown"):
            # The worker died before this test began: it goes to the next one. Or after it, and its reports are there.
            if end.now.subject != crashitem:
                sched.mark_test_pending(crashitem)
            report.outcome = "rerun"  # type: ignore[assignment]
            report.when = "setup"
            report.longrepr = None
            return
        self._deaths = 0
        self._describe(report, end, end.now.phase)

    def _describe(self, report: pytest.TestReport, end: End, when: str) -> None:
        """Make it the report of a test that ended like this."""
        finding = _finding(end, report.nodeid)
        path, _, name = report.nodeid.partition("::")
        report.location = (path, None, name.replace("::", "."))
        report.outcome = "failed"
        report.when = when  # type: ignore[assignment]
        report.longrepr = f"{finding.verdict.value}: {finding.headline}\n\n{finding.detail}".rstrip()
        report.ftcheck = {  # type: ignore[attr-defined]
            "asked": end.now.asked,
            "reason": "",
            "coverage": None,
            "findings": to_plain([finding]),
        }
        report.user_properties.append(("ftcheck_verdict", finding.verdict.value))
        self._distribution._handlefailures(report)  # so that -x and --maxfail count it

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome == "rerun":  # type: ignore[comparison-overlap]
            junit.forget(self._config, report)
        session: Any = self._config.pluginmanager.getplugin("session")
        if session.shouldstop and not self._distribution.shouldstop:
            self._distribution.shouldstop = session.shouldstop  # --stepwise: the worker that should stop is dead

    # --- the end --------------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self) -> None:
        self._interrupts.ending = True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None]:
        """End the workers, before anything is added up: what happens at their exit belongs to the run's findings."""
        self._interrupts.ending = True
        self._overseer.stop()
        distribution = self._distribution
        unfinished = {node.gateway.id for node in distribution._active_nodes}
        for name, worker in self._workers.items():
            if name in unfinished:
                worker.interrupt()
            worker.ask_to_end()
        patience = settings.resolve(self._run.layers).timeout + _EXIT_PATIENCE
        for name, worker in list(self._workers.items()):
            status, killed = worker.ended(_INTERRUPTED_PATIENCE if name in unfinished else patience)
            end = evidence.read(self._folder, name, status, killed=killed)
            if status not in (0, None, _OUTPUT_LOST) and name not in unfinished and not self._hurried and end.verdict:
                self._at_the_end(end, name)
        self._workers.clear()
        if self._restarts is not None:
            distribution._summary_report = None  # "worker restarting disabled": that was us, and none was needed
        self._take_last_reports(distribution)
        return (yield)

    def _take_last_reports(self, distribution: Any) -> None:
        """What workers had reported before the run was interrupted, and nobody has looked at."""
        while True:
            try:
                name, arguments = distribution.queue.get_nowait()
            except queue.Empty:
                return
            if name in ("testreport", "collectreport"):
                getattr(distribution, f"worker_{name}")(**arguments)


def _finding(end: End, nodeid: str) -> Finding:
    at_exit = " at the interpreter's exit"
    where = {"setup": " in the set-up", "teardown": " in the teardown", "between": " after the test"}
    where |= {"finish": " at the end of the session", "end": at_exit, "exit": at_exit}
    coverage = None
    if end.now.explored and end.now.phase == "call":
        # Nothing is known but the number, and that it was under control, where the GIL makes no difference.
        nothing = Interleavings(False, 0, 1.0, (0, 0.0, 0))
        coverage = Coverage(0, end.now.round, 0, 1, end.now.round, 0.0, "hang", interleavings=nothing)
    return Finding(
        verdict=end.verdict or Verdict.CRASH,
        coverage=coverage,
        tests=(nodeid,),
        headline=end.headline + where.get(end.now.phase, ""),
        phase=end.now.phase,
        detail=end.detail,
        round=end.now.round,
    )

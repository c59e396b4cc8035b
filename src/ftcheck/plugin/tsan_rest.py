"""What ThreadSanitizer has written besides that which tests were given (``tsan_log.py``), in the process that prints.

A worker that dies in a test leaves the rest of its log to that test. At the end all logs are read that were written during
the run: what belongs to no test is a finding about none, and the interpreter's own races are listed.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from _pytest.terminal import TerminalReporter

from ftcheck.native import tsan_log as native_log
from ftcheck.native import tsan_options, tsan_races, tsan_symbols
from ftcheck.native.tsan_races import Entry
from ftcheck.native.tsan_report import Report
from ftcheck.plugin import tsan_log
from ftcheck.plugin.options import START
from ftcheck.plugin.summary import SummaryPlugin
from ftcheck.plugin.tsan_log import ACCOUNT, Account
from ftcheck.verdicts import Finding, Verdict, to_plain

_OUTSIDE = "(outside of tests)"
_OWN_SHOWN = 10


class Rest:
    """Registered as ``ftcheck-tsan-rest``, never in a worker.

    :param prefix: of the logs, an absolute path.
    """

    def __init__(self, prefix: Path, summary: SummaryPlugin) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ftcheck-tsan-"))
        self._prefix, self._summary = prefix, summary
        self._before = {path: tsan_log.state(path) for path, _ in tsan_log.logs(prefix) if not tsan_log.is_open(path)}
        self._given: set[int] = set()
        self._own: tuple[Entry, ...] = ()
        # Failing tests are run again in fresh interpreters: what is reported there is no news.
        START[1]["TSAN_OPTIONS"] = f"{START[1].get('TSAN_OPTIONS', '')}:log_path={self.folder}/again"

    def pytest_report_header(self) -> list[str]:
        lines = [f"ftcheck: ThreadSanitizer writes to {self._prefix}.PID"]
        if not tsan_options.interpreter_built_with_it():
            lines.append(f"ftcheck: {tsan_log.STOCK}")
        return lines

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["ftcheck_tsan"] = str(self.folder)

    @pytest.hookimpl(optionalhook=True, trylast=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """A worker has died in a test: what it had written by then is added to the test's report."""
        name = report.node.gateway.id
        account = tsan_log.account_in(self.folder / f"{name}{ACCOUNT}")
        if account is None or account.test != crashitem or report.outcome != "failed":
            return
        path = tsan_log.log_of(self._prefix, account.pid)
        if path is None or self._before.get(path) == tsan_log.state(path):
            return
        self._given.add(account.pid)
        reports = tsan_symbols.named(native_log.parse_bytes(tsan_log.read(path, account.told)), account.modules)
        entries = [one for one in tsan_races.merged(reports) if not one.own]
        if not entries:
            return
        data = getattr(report, "ftcheck", None)
        if data is not None:
            new = [to_plain(tsan_log.finding(one, crashitem, str(report.when))) for one in entries]
            report.ftcheck = {**data, "findings": [*data["findings"], *new]}  # type: ignore[attr-defined]
        text = "\n\n".join(one.text for one in entries)
        report.longrepr = f"{report.longrepr}\n\nThreadSanitizer, before that:\n\n{text}"

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self) -> Generator[None]:
        """Outside of the wrapper that adds everything up, inside of those that end the workers and classify failures."""
        files = [(path, pid) for path, pid in tsan_log.logs(self._prefix) if self._before.get(path) != tsan_log.state(path)]
        found = [tsan_log.account_in(file) for file in self.folder.glob(f"*{ACCOUNT}")]
        accounts = {account.pid: account for account in found if account is not None}
        for one in tsan_races.merged(report for path, pid in files for report in self._left(path, accounts.get(pid))):
            if not one.own:
                self._summary.note(tsan_log.finding(one, _OUTSIDE, "finish"))
        everything = (report for path, _ in files for report in self._all(path))
        self._own = tsan_races.merged(report for report in everything if tsan_races.interpreters_own(report))
        return (yield)

    def _all(self, path: Path) -> Iterator[Report]:
        try:
            yield from native_log.read(path)
        except native_log.LogError as error:
            self._summary.note(Finding(Verdict.ERROR, (_OUTSIDE,), str(error), phase="finish"))

    def _left(self, path: Path, account: Account | None) -> Iterator[Report]:
        """What a process wrote before, between and after its tests; all of it, if it ran none."""
        account = account or Account(0)
        for begin, end in zip(account.outside[::2], account.outside[1::2], strict=True):
            yield from tsan_symbols.named(native_log.parse_bytes(tsan_log.read(path, begin, end)), account.modules)
        if account.pid not in self._given:
            yield from tsan_symbols.named(native_log.parse_bytes(tsan_log.read(path, account.told)), account.modules)

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        if not self._own:
            return
        reports, places = sum(one.times for one in self._own), len(self._own)
        terminalreporter.write_sep("-", "ThreadSanitizer: the interpreter's own")
        terminalreporter.write_line(
            f"Both sides lie in the interpreter (reports: {reports:,}, places: {places:,}). They accuse no test."
        )
        lost = sum(one.times for one in self._own if one.lost)
        if lost:
            terminalreporter.write_line(
                f"Of {lost:,} of them one stack was lost, and might lie elsewhere: TSAN_OPTIONS=history_size=7 keeps more."
            )
        for one in self._own[:_OWN_SHOWN]:
            terminalreporter.write_line(f"  {one.times:,} x {one.headline}")
        if places > _OWN_SHOWN:
            terminalreporter.write_line(f"  ... {places - _OWN_SHOWN:,} more places")
        terminalreporter.write_line(f"All of them: ftcheck tsan-log {self._prefix}.*")

    @pytest.hookimpl
    def pytest_unconfigure(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

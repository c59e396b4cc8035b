"""``--ftcheck-tsan-log=PREFIX``: the run is under the real ThreadSanitizer, and its reports become findings of tests.

ThreadSanitizer writes each report to the log of its process, ``PREFIX.PID``, before the thread that it caught goes on. So
what a process has written between the beginning and the end of a test, that test did: the log is read on from where it was
read before, after each phase. What comes before, between and after tests, and what processes that run no tests have
written, is found outside of tests.

Each process that runs tests keeps an account (:class:`Account`) of its log, in a file that outlives it. So the process that
prints (``tsan_rest.py``) knows what is left: of a worker that died in a test, the rest is that test's; everything else is
read at the end, when the workers are gone and have written what ThreadSanitizer says at an exit.

The interpreter's own races (:func:`ftcheck.native.tsan_races.interpreters_own`) accuse no test; they are listed at the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ftcheck.native import tsan_log, tsan_options, tsan_races, tsan_symbols
from ftcheck.native.tsan_races import Entry
from ftcheck.native.tsan_report import Report
from ftcheck.plugin.run_options import RunOptions
from ftcheck.plugin.summary import own_failure
from ftcheck.verdicts import Finding, finding_from_plain, to_plain

_PATIENCE = 2.0
"""Seconds for a report that is just being written to be written to its end."""
STOCK = (
    "this interpreter was not compiled with ThreadSanitizer, which sees none of its locks, and reports correct code as well"
)


def install(config: pytest.Config, run: RunOptions) -> None:
    """Register what is needed in this process: where tests run, where things are printed, or both.

    :raises pytest.UsageError: ThreadSanitizer is not in this process, or writes elsewhere.
    """
    prefix = _checked(config, run)
    worker = getattr(config, "workerinput", None)
    name, folder = "here", None
    if worker is None:
        from ftcheck.plugin.tsan_rest import Rest

        summary: Any = config.pluginmanager.getplugin("ftcheck-summary")
        rest = Rest(prefix, summary)
        folder = rest.folder
        config.pluginmanager.register(rest, "ftcheck-tsan-rest")
    elif os.path.isdir(worker.get("ftcheck_tsan", "")):
        name, folder = str(worker["workerid"]), Path(worker["ftcheck_tsan"])
    if config.pluginmanager.hasplugin("ftcheck-session"):
        log = Log(prefix, None if folder is None else folder / f"{name}{ACCOUNT}")
        config.pluginmanager.register(DuringTests(log), "ftcheck-tsan-log")


def _checked(config: pytest.Config, run: RunOptions) -> Path:
    option = "--ftcheck-tsan-log"
    text = config.option.ftcheck_tsan_log
    if not text.strip():
        raise pytest.UsageError(f"{option}: the prefix is empty; give the path that TSAN_OPTIONS has as log_path")
    if run.off:
        raise pytest.UsageError(f"--no-ftcheck contradicts {option}: give one of them")
    if not run.asked:
        raise pytest.UsageError(f"{option} needs --ftcheck or --ftcheck-marked: a race is found where tests run in threads")
    controlled = next((name for name in ("explore", "races", "replay") if getattr(run.unmarked, name)), "")
    if controlled:
        raise pytest.UsageError(
            f"{option} contradicts {controlled}: controlled threads hand over to each other, which ThreadSanitizer takes "
            "for an order, so that it would see no race. Run the test in parallel"
        )
    prefix = Path(os.path.normpath(config.invocation_params.dir / text))
    if not tsan_options.present():
        raise pytest.UsageError(
            f"{option}: there is no ThreadSanitizer in this process. It needs a CPython that was configured with "
            "--with-thread-sanitizer, and extensions that were compiled with -fsanitize=thread by the same compiler. "
            "Without such a CPython: ftcheck-cc (see docs/native.md)"
        )
    wrong = tsan_options.complaint(prefix, os.environ)
    if wrong:
        raise pytest.UsageError(f"{option}: {wrong}. Set it before pytest starts: {tsan_options.wanted(prefix)} pytest ...")
    if not prefix.parent.is_dir():
        raise pytest.UsageError(f"{option}: {prefix.parent} is no folder, and ThreadSanitizer does not make it: make it")
    return prefix


# --- the log of one process ---------------------------------------------------------------------------------------------

ACCOUNT = ".account"


@dataclass(frozen=True, slots=True)
class Account:
    """What a process has made of its log.

    :param path: of the log; empty as long as there is none.
    :param at: it was read up to here, in bytes.
    :param told: what comes before this is in a report of a test, or is no test's.
    :param test: the node id of the test that is running; empty: none is.
    :param outside: parts of the log that no test has written: from, to, from, to, ...
    :param modules: the files of the shared objects that were there when something of this last changed, by their names.
    """

    pid: int
    path: str = ""
    at: int = 0
    told: int = 0
    test: str = ""
    outside: tuple[int, ...] = ()
    modules: Mapping[str, str] = field(default_factory=dict)


class Log:
    """The log of this process, read bit by bit.

    :param account: a file for the account, which outlives the process; None: nobody would look for it.
    """

    def __init__(self, prefix: Path, account: Path | None) -> None:
        self._prefix, self._file = prefix, account
        self._account = Account(os.getpid())
        old = log_of(prefix, os.getpid())
        # An earlier process had the same number, unless this one has the file open. It is emptied at the first report.
        self._old = None if old is None or is_open(old) else (old, state(old))
        self._note()

    def added(self) -> list[Report]:
        """The reports that have come since the last call. One that is just being written is waited for, but not long."""
        path = self._path()
        if path is None:
            return []
        deadline = time.monotonic() + _PATIENCE
        while True:
            content = read(path, self._account.at)
            content = content[: content.rfind(b"\n") + 1]
            reports = tsan_log.parse_bytes(content) if content else []
            if all(report.complete for report in reports) or time.monotonic() > deadline:
                break
            time.sleep(0.01)
        if content:
            self._account = replace(self._account, path=str(path), at=self._account.at + len(content))
            self._note()
        return tsan_symbols.named(reports, tsan_symbols.modules()) if reports else []

    def outside(self) -> None:
        """What has come since the last call of anything here belongs to no test."""
        begin = self._account.at
        if self.added():
            outside = (*self._account.outside, begin, self._account.at)
            self._account = replace(self._account, outside=outside, told=self._account.at, modules=tsan_symbols.modules())
            self._note()

    def test(self, nodeid: str) -> None:
        """A test begins; with an empty name, it is over."""
        self._account = replace(self._account, test=nodeid, told=self._account.at, modules=tsan_symbols.modules())
        self._note()

    def told(self) -> None:
        """What has been read is in a report, and needs not be kept for the case that this process dies."""
        self._account = replace(self._account, told=self._account.at)
        self._note()

    def _path(self) -> Path | None:
        path = log_of(self._prefix, os.getpid())
        return None if path is None or (path, state(path)) == self._old else path

    def _note(self) -> None:
        if self._file is not None and self._account.pid == os.getpid():
            new = self._file.with_suffix(".new")
            with contextlib.suppress(OSError):  # the disk is full, the folder gone: then the end of the run knows less
                new.write_text(json.dumps(asdict(self._account)), encoding="utf-8")
                new.replace(self._file)


def log_of(prefix: Path, pid: int) -> Path | None:
    """``PREFIX.PID``, or with ``log_exe_name=1`` ``PREFIX.PROGRAM.PID``."""
    return next((path for path, number in logs(prefix) if number == pid), None)


def logs(prefix: Path) -> list[tuple[Path, int]]:
    """All that there are, with the numbers of their processes."""
    name = re.compile(re.escape(prefix.name) + r"\.(?:.+\.)?(\d+)$")
    with contextlib.suppress(OSError):
        found = [(prefix.parent / entry, name.match(entry)) for entry in sorted(os.listdir(prefix.parent))]
        return [(path, int(match[1])) for path, match in found if match is not None]
    return []


def state(path: Path) -> tuple[int, int]:
    """Changes whenever something is written."""
    with contextlib.suppress(OSError):
        status = path.stat()
        return status.st_mtime_ns, status.st_size
    return 0, 0


def is_open(path: Path) -> bool:
    """Whether this process has this file open (Linux; elsewhere it is never known)."""
    with contextlib.suppress(OSError):
        name = os.path.realpath(path)
        for fd in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/self/fd/{fd}") == name:
                    return True
    return False


def read(path: Path, begin: int, end: int | None = None) -> bytes:
    """A part of a log."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(begin)
        return file.read() if end is None else file.read(end - begin)
    return b""


# --- where tests run ----------------------------------------------------------------------------------------------------


class DuringTests:
    """Registered as ``ftcheck-tsan-log`` where tests run, behind ``ftcheck-session``: it sees that one's reports."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._of_setup: list[Entry] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self) -> None:
        self._log.outside()  # what happened at import; a worker may have no test to run

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._log.outside()
        self._log.test(item.nodeid)
        try:
            return (yield)
        finally:
            self._log.test("")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        entries = [one for one in tsan_races.merged(self._log.added()) if not one.own]
        if report.when == "setup" and report.passed:
            self._of_setup = entries  # a race there is no reason not to run the test: its next report brings it
            return report
        findings = [finding(one, item.nodeid, "setup") for one in self._of_setup]
        findings += [finding(one, item.nodeid, str(report.when)) for one in entries]
        self._of_setup = []
        if findings:
            _accuse(item, report, findings)
            self._log.told()
        return report


def _accuse(item: pytest.Item, report: pytest.TestReport, new: list[Finding]) -> None:
    """Put findings onto the report of a test in one of its phases."""
    text = "\n\n".join(one.detail for one in new)
    if _was_expected(item, report):
        report.sections.append(("ThreadSanitizer", text))
        return
    data = getattr(report, "ftcheck", {"asked": False, "reason": "", "coverage": None, "findings": []})
    findings = [finding_from_plain(one) for one in data["findings"]]
    if report.failed:
        findings = findings or [own_failure(report)]
        report.sections.append(("ThreadSanitizer", text))
    else:
        report.outcome, report.longrepr = "failed", "\n\n".join([new[0].headline, text])
        report.__dict__.pop("wasxfail", None)
    findings = sorted([*findings, *new], key=lambda one: one.verdict.rank)
    report.ftcheck = {**data, "findings": to_plain(findings)}  # type: ignore[attr-defined]
    for number, (name, _) in enumerate(item.user_properties):
        if name == "ftcheck_verdict":
            item.user_properties[number] = (name, findings[0].verdict.value)


def _was_expected(item: pytest.Item, report: pytest.TestReport) -> bool:
    """A test that is marked xfail has failed as expected, also if this is all that was wrong with it."""
    if report.when != "call":
        return False
    if hasattr(report, "wasxfail") and report.skipped:
        return True
    particular = any(mark.kwargs.get("raises") is not None for mark in item.iter_markers("xfail"))
    strict = isinstance(report.longrepr, str) and report.longrepr.startswith("[XPASS(strict)]")
    if particular or not (strict or (hasattr(report, "wasxfail") and report.passed)):
        return False
    if strict:
        report.wasxfail = str(report.longrepr).removeprefix("[XPASS(strict)]").strip()
    report.outcome, report.longrepr = "skipped", None
    return True


def finding(one: Entry, test: str, phase: str) -> Finding:
    """What is said of a test to which these reports belong."""
    detail = one.text if tsan_options.interpreter_built_with_it() else f"{one.text}\n  possible only: {STOCK}"
    return Finding(one.verdict, (test,), one.headline, phase=phase, detail=detail)


def account_in(file: Path) -> Account | None:
    """The account that a process has left; None where it could not write one."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        data = json.loads(file.read_text(encoding="utf-8"))
        return Account(**{**data, "outside": tuple(data["outside"])})
    return None

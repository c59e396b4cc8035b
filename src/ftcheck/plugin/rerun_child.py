"""The child interpreter of the classification: runs some failing tests once more, and writes down what came of each.

Started by ``reruns.py`` with one argument, the file of its task. It rebuilds the run's configuration as a worker of
pytest-xdist does: the same arguments in the same folder, read anew, so that rootdir, ini file, plugins and conftest files
are the same; what plugins have settled meanwhile, such as a seed, comes along. It even looks like a worker
(``config.workerinput``), for that is what other plugins go by when they leave caches, reports and coverage files to the
process that prints. What would stop it early, ask questions, repeat tests, or distribute them is switched off.

What it runs is the run's own machinery: the watch over the process (``guard.py``), the selection, the engine. So it may
die like a worker, and leaves the same evidence. The results go line by line into a file, not through a pipe: a file needs
no reader, and no process that a test has left behind can keep it open.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from ftcheck.plugin.evidence import out_of_the_way
from ftcheck.settings import Settings
from ftcheck.verdicts import Verdict

WORKER = "gw0"
"""The name of the child as a worker: there are conftest files that take the number out of it."""
FAILING = frozenset(
    verdict.value for verdict in (Verdict.CRASH, Verdict.HANG, Verdict.DEADLOCK, Verdict.FAILURE, Verdict.ERROR)
)
_WAITED = {"threading.BrokenBarrierError", "TimeoutError", "_queue.Empty", "queue.Full", "_queue.Full"}
"""What a body raises that has waited for another one, with a timeout."""
_OFF: Mapping[str, Any] = {
    "maxfail": 0, "lf": False, "failedfirst": False, "newfirst": False, "stepwise": False, "usepdb": False, "trace": False,
    "numprocesses": None, "maxprocesses": None, "dist": "no", "distload": False, "tx": [], "looponfail": False,
    "loadgroup": False, "xmlpath": None, "no_cov": True,
}  # fmt: skip
_EXIT = os._exit


@dataclass(frozen=True, slots=True)
class RerunLimits:
    """How the tests of this child are run.

    :param alone: one copy at a time, one body after the other, instead of several threads.
    :param until: no round begins after this time of :func:`time.monotonic`.
    :param timeouts: seconds, by node id: the longest timeout that a test may have.
    :param shortened: the tests that would have had a longer one.
    """

    alone: bool
    until: float
    timeouts: Mapping[str, float]
    shortened: set[str] = field(default_factory=set)

    def limit(self, test: str, own: Settings) -> Settings:
        """A test's own settings, within these limits."""
        left = max(0.001, self.until - time.monotonic())
        timeout = self.timeouts.get(test, own.timeout)
        if timeout < own.timeout:
            self.shortened.add(test)
        return dataclasses.replace(
            own,
            threads=1 if self.alone else own.threads,
            seconds=left if own.seconds is None else min(own.seconds, left),
            timeout=min(own.timeout, timeout),
        )


class Reruns:
    """Registered as ``ftcheck-reruns``: chooses the tests, and writes a line for each.

    :param tests: node ids, in the order in which they are run.
    :param results: a file descriptor.
    """

    def __init__(self, tests: list[str], limits: RerunLimits, results: int) -> None:
        self._order = {test: number for number, test in enumerate(tests)}
        self._limits, self._results = limits, results
        self._reports: list[pytest.TestReport] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        chosen = {item.nodeid: item for item in items if item.nodeid in self._order}
        items[:] = sorted(chosen.values(), key=lambda item: self._order[item.nodeid])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        self._reports = []
        if time.monotonic() < self._limits.until:
            self._write({"test": item.nodeid, "begins": True, "shortened": item.nodeid in self._limits.shortened})
            return None
        self._write({"test": item.nodeid, "late": True})
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._reports.append(report)

    @pytest.hookimpl
    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._write({"test": nodeid, **result(nodeid, self._reports, self._limits.alone)})

    def _write(self, line: Mapping[str, object]) -> None:
        os.write(self._results, json.dumps(line).encode() + b"\n")


def result(nodeid: str, reports: list[pytest.TestReport], alone: bool) -> dict[str, object]:
    """What the reports of a test's phases say: ``failed``, ``rounds``, ``overlapped``, ``note``; see
    :class:`~ftcheck.verdicts.Rerun`.

    ``company`` is added where a test cannot be run alone, ``serial`` (why) where it is not rerun in threads at all.
    """
    data = [getattr(report, "ftcheck", None) or {} for report in reports]
    coverage = next((one["coverage"] for one in data if one.get("coverage")), None)
    reason = next((one["reason"] for one in data if one.get("reason")), "")
    findings = [
        finding
        for one in data
        for finding in one.get("findings", ())
        if nodeid in finding["tests"] and finding["verdict"] in FAILING
    ]
    bare = [report.when for report, one in zip(reports, data, strict=True) if report.failed and not one.get("findings")]
    if coverage is None:
        found: dict[str, object] = {"serial": reason} if reason else {}
        if any(report.skipped for report in reports):
            return {"failed": 0, "rounds": 0, "overlapped": 0, "note": "was skipped", **found}
        where = next((f"in the {when}" for when in bare if when != "call"), "")
        return {"failed": int(bool(findings or bare)), "rounds": 1, "overlapped": 0, "note": where, **found}
    groups = [group for finding in findings for group in finding["groups"]]
    rounds = {number for group in groups for number in group["rounds"] if number}
    found = {"failed": len(rounds), "rounds": coverage["rounds"], "overlapped": coverage["overlapped"], "note": ""}
    if not rounds and (findings or bare):
        # After the rounds, such as the teardown of a module's fixture: once per process, however many rounds there were.
        return {**found, "failed": 1, "rounds": 1, "note": "after its rounds"}
    if not rounds and any(report.skipped for report in reports):
        return {**found, "rounds": 0, "note": "was skipped"}
    if alone and rounds and coverage["threads"] > 1 and {group["kind"] for group in groups} <= _WAITED:
        return {
            **found,
            "failed": 0,
            "rounds": 0,
            "note": "cannot run alone, its bodies wait for each other",
            "company": True,
        }
    if alone and rounds and min(rounds) > 1:
        found["note"] = "but not in the first: it cannot be repeated in one process"
    return found


def main(task: Mapping[str, Any]) -> None:
    """Run the tests of ``task`` and end the process.

    The task is made by :class:`ftcheck.plugin.reruns.Mode`.
    """
    _end_with(task["parent"], task["folder"])
    limits = RerunLimits(task["alone"], time.monotonic() + task["until"] - time.time(), task["timeouts"])
    sys.argv[:] = task["argv"]
    from _pytest.config import _prepareconfig

    config = _prepareconfig(task["arguments"], None)
    for name, value in {**task["options"], **_OFF, "basetemp": task["basetemp"]}.items():
        if hasattr(config.option, name):
            setattr(config.option, name, value)
    _without_rerunfailures(config)
    config.workerinput = {**task["workerinput"], "ftcheck_rerun": limits}  # type: ignore[attr-defined]
    config.workeroutput = {}  # type: ignore[attr-defined]
    files = [os.path.join(config.rootpath, file) for file in dict.fromkeys(test.split("::")[0] for test in task["tests"])]
    if all(map(os.path.exists, files)):
        config.args = files
    results = os.open(task["results"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    high = out_of_the_way(results)
    config.pluginmanager.register(Reruns(task["tests"], limits, high), "ftcheck-reruns")
    try:
        status = int(config.hook.pytest_cmdline_main(config=config))
        os.write(high, json.dumps({"done": status}).encode() + b"\n")
    finally:
        config._ensure_unconfigure()
        sys.stdout.flush()
        sys.stderr.flush()
        _EXIT(0)


def _without_rerunfailures(config: pytest.Config) -> None:
    """It would run each failing test several times, and leave out those that have crashed in the run."""
    plugin = config.pluginmanager.getplugin("rerunfailures")
    if plugin is not None:
        config.pluginmanager.unregister(plugin)
        config.addinivalue_line("markers", "flaky: of pytest-rerunfailures, which is off in reruns of ftcheck")


def _end_with(parent: int, folder: str) -> None:
    """End this process, and those that its tests have started, when the other end of a pipe is closed: however the
    process that holds it ended. Nobody else would remove ``folder`` then.
    """
    parent = out_of_the_way(parent)

    def wait() -> None:
        try:
            os.read(parent, 1)
        except OSError:
            return  # a test has closed it
        shutil.rmtree(folder, ignore_errors=True)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, name="ftcheck-parent", daemon=True).start()

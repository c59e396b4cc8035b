"""Runs a mini project under pytest, and gives what came of it.

pytest's own ``pytester`` lives as long as one test. A run with a worker process costs seconds, so here one run serves
all tests of a module: each looks at another of its verdicts. Third-party plugins are not loaded (hypothesis alone takes
longer to import than such a run): ``plugins=True`` asks for them where they are what is tested.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
LIMIT = 240
"""Seconds after which a run is taken for one that never ends; it takes a fraction of that on a busy machine."""

compiled = HERE / "__pycache__"
"""Where the runs keep bytecode, set by ``conftest.py``: compiling all of pytest again would double the time of each."""

MEETING = '''
"""Bodies that overlap with certainty: nobody leaves meet() before all have come."""
import collections
import sys
import threading

_barriers = {}
_lock = threading.Lock()

def meet(name=None, parties=2):
    """Wait for the other thread that runs this test; one of them gets 0, the other 1."""
    if name is None:
        name = sys._getframe(1).f_code
    with _lock:
        if name not in _barriers:
            _barriers[name] = threading.Barrier(parties)
    return _barriers[name].wait(60)
'''


@dataclass
class Run:
    """A finished run.

    :param folder: where it ran.
    """

    status: int
    out: str
    err: str
    folder: Path
    command: Sequence[str] = ()
    record: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:  # shown by pytest where an assertion about a run fails
        return f"<run, exit status {self.status}>\n{self.out}\n--- stderr ---\n{self.err}"

    @property
    def lines(self) -> pytest.LineMatcher:
        """The output, to be matched line by line."""
        return pytest.LineMatcher(self.out.splitlines())

    # --- the plugin's account ---------------------------------------------------------------------------------------

    def test(self, name: str) -> dict[str, Any]:
        """What the run says of one test, by the end of its node id."""
        found = [test for test in self.record["run"]["tests"] if _named(test["test"], name)]
        assert len(found) == 1, f"{len(found)} tests are named {name!r}: {[t['test'] for t in self.record['run']['tests']]}"
        return found[0]

    def verdict(self, name: str) -> str:
        """One test's verdict: ``"crash"``, ``"passed"``, ..."""
        return str(self.test(name)["verdict"])

    def verdicts(self) -> dict[str, str]:
        """All of them."""
        return {test["test"]: test["verdict"] for test in self.record["run"]["tests"]}

    def finding(self, name: str) -> dict[str, Any]:
        """The only finding about a test."""
        findings = self.test(name)["findings"]
        assert len(findings) == 1, f"{len(findings)} findings about {name}: {findings}"
        return findings[0]

    def groups(self, name: str) -> dict[str, dict[str, Any]]:
        """The failures of a test, by the name of the exception's type."""
        return {group["kind"]: group for group in self.finding(name)["groups"]}

    @property
    def general(self) -> list[dict[str, Any]]:
        """Findings about no test in particular."""
        return self.record["run"]["general"]

    # --- pytest's account -------------------------------------------------------------------------------------------

    def reports(self, name: str) -> dict[str, tuple[str, str]]:
        """Outcome and text of each phase's report of one test; no phase may have two."""
        found = [report for report in self.record["reports"] if _named(report["test"], name)]
        phases = [report["when"] for report in found if report["outcome"] != "rerun"]
        assert len(phases) == len(set(phases)), f"a phase of {name} was reported twice: {phases}"
        return {report["when"]: (report["outcome"], report["text"]) for report in found if report["outcome"] != "rerun"}

    def outcomes(self, name: str) -> dict[str, str]:
        """The outcome of each phase's report."""
        return {when: outcome for when, (outcome, _) in self.reports(name).items()}

    def text(self, name: str, when: str = "call") -> str:
        """What pytest shows for a test's failure in one phase."""
        return self.reports(name)[when][1]

    @functools.cached_property
    def junit(self) -> ElementTree.Element:
        """The test suite of the JUnit file."""
        suite = ElementTree.parse(self.folder / "junit.xml").getroot().find("testsuite")
        assert suite is not None
        return suite

    def junit_case(self, name: str) -> ElementTree.Element:
        """One test's only element in the JUnit file; ``name`` may begin with its class."""
        owner, _, short = name.rpartition("::")
        found = [
            case
            for case in self.junit.iter("testcase")
            if case.get("name") == short and str(case.get("classname")).endswith(owner)
        ]
        assert len(found) == 1, [(case.get("classname"), case.get("name")) for case in self.junit.iter("testcase")]
        return found[0]

    def junit_outcome(self, name: str) -> list[str]:
        """``["failure"]``, ``["error"]``, ``["skipped"]`` or ``[]``."""
        return [child.tag for child in self.junit_case(name) if child.tag in ("failure", "error", "skipped")]

    def junit_properties(self, name: str) -> dict[str | None, str | None]:
        """The properties of one test in the JUnit file."""
        return {one.get("name"): one.get("value") for one in self.junit_case(name).iter("property")}


def _named(nodeid: str, name: str) -> bool:
    return nodeid == name or nodeid.endswith(f"::{name}")


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files of a mini project; ``meeting.py`` and an ini file (its root) are always there."""
    for name, text in {"meeting.py": MEETING, "pytest.ini": "[pytest]\n", **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")


def environment(**extra: str | None) -> dict[str, str]:
    """The environment of a run: this one's, without what this pytest session has put into it; None removes a name."""
    result = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    result["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), result.get("PYTHONPATH")]))
    result |= {"COLUMNS": "120", "PYTHONPYCACHEPREFIX": os.fspath(compiled)}
    for name in ("PY_COLORS", "NO_COLOR", "FORCE_COLOR", "CI", "BUILD_NUMBER", "PYTHONDONTWRITEBYTECODE"):
        result.pop(name, None)
    for name, value in extra.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = value
    return result


def execute(folder: Path, command: Sequence[str], env: Mapping[str, str]) -> Run:
    """Run a command without a terminal and without input.

    :raises subprocess.TimeoutExpired: it did not end by itself.
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its workers notice
            raise
    return Run(process.returncode, out, err, folder, command)


def run_pytest(
    folder: Path,
    files: Mapping[str, str],
    *arguments: str,
    plugins: bool = False,
    classify: bool = False,
    interpreter: Sequence[str] = (),
    **extra: str | None,
) -> Run:
    """Run pytest on a mini project.

    :param files: name to content.
    :param plugins: load every installed plugin, as a user's pytest does, ours through its entry point.
    :param classify: leave the option for it alone; else failures are not classified, which takes three interpreters.
    :param interpreter: options of the interpreter.
    :param extra: environment variables; None removes one.
    """
    write(folder, files)
    record = folder / "record.json"
    record.unlink(missing_ok=True)
    loaded = [] if plugins else ["-p", "xdist", "-p", "ftcheck.plugin"]
    env = environment(**extra) | {"FTCHECK_TEST_RECORD": str(record)}
    if not plugins:
        env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    fixed = ["-p", "ftcheck_recorder", f"--basetemp={folder / 'tmp'}", "--junitxml=junit.xml"]
    fixed += [] if classify else ["--ftcheck-classify=0"]
    run = execute(folder, [sys.executable, *interpreter, "-m", "pytest", *loaded, *fixed, *arguments], env)
    if record.exists():
        run.record = json.loads(record.read_text(encoding="utf-8"))
    return run


DRIVER = """
import contextlib, io, json, os, sys, warnings
import pytest
answers = []
for arguments in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = pytest.main(arguments)
    answers.append([int(status), out.getvalue(), err.getvalue()])
with open("answers.json", "w", encoding="utf-8") as file:
    json.dump(answers, file)
"""


def run_many(folder: Path, files: Mapping[str, str], calls: Sequence[Sequence[str]], *, plugins: bool = False) -> list[Run]:
    """Run pytest several times in one process: for runs that end before any test has run, or keep to that process."""
    write(folder, files)
    loaded = [] if plugins else ["-p", "xdist", "-p", "ftcheck.plugin"]
    words = [[*loaded, "-p", "no:cacheprovider", "--ftcheck-classify=0", *call] for call in calls]
    env = environment() if plugins else environment() | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = execute(folder, [sys.executable, "-c", DRIVER, json.dumps(words)], env)
    assert done.status == 0, done
    answers = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    return [Run(status, out, err, folder, call) for (status, out, err), call in zip(answers, words, strict=True)]

"""Ctrl-C and SIGTERM, whatever the run is doing: it ends, prints what it has found, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from . import minirun
from .leftovers import left_behind

PROJECT = {
    "place.py": """
        import os, pathlib, time
        WHERE = os.environ["WHERE"]
        def stay(here, stubborn=False):
            '''Tell the test that sends the signal, and never come back.'''
            if here == WHERE:
                while here not in ("import", "collection") and not pathlib.Path("first-is-done").exists():
                    time.sleep(0.02)  # it may run in another worker
                pathlib.Path("here").touch()
                while True:
                    try:
                        time.sleep(0.05)
                    except KeyboardInterrupt:
                        if not stubborn:
                            raise
    """,
    "conftest.py": """
        import os, pathlib
        from place import stay
        tests_run_here = "PYTEST_XDIST_WORKER" in os.environ or "INPROCESS" in os.environ
        def pytest_collection_modifyitems():
            if tests_run_here: stay("collection")
        def pytest_runtest_logfinish(nodeid):
            if "test_first" in nodeid: pathlib.Path("first-is-done").touch()
            if tests_run_here: stay("between")
    """,
    "test_mini.py": """
        import threading
        import pytest
        from meeting import meet
        from place import stay

        stay("import")

        def test_first(): meet()

        @pytest.fixture
        def slow():
            stay("setup")
            yield
            stay("teardown")

        @pytest.mark.thread_unsafe
        def test_alone(slow):
            stay("alone")
            stay("stubborn", stubborn=True)

        def test_concurrent():
            meet()
            stay("concurrent")
    """,
}
PHASES = ("import", "collection", "setup", "alone", "teardown", "between", "concurrent")
NOTHING_RUN_YET = ("import", "collection")
MODES = {"isolated": ["--ftcheck"], "two workers": ["--ftcheck", "-n2"], "in process": ["--ftcheck", "--ftcheck-isolate=no"]}


class Case(NamedTuple):
    """A signal at a phase of a run.

    :param to: ``"group"``, as a terminal does it, or ``"process"``, as ``kill`` does.
    :param again: seconds after which the signal is sent once more; 0: it is not.
    """

    mode: str
    where: str
    to: str = "group"
    again: float = 0.0
    number: int = signal.SIGINT

    def __str__(self):
        text = f"{signal.Signals(self.number).name} to the {self.to}, {self.mode}, {self.where}"
        return f"{text}, again after {self.again} s" if self.again else text


CTRL_C = [
    *(Case(mode, where) for mode in MODES for where in PHASES),
    *(Case("isolated", where, "process") for where in PHASES),
    *(Case(mode, where, again=0.05) for mode in MODES for where in ("alone", "concurrent")),
    Case("isolated", "stubborn", again=1.5),
    Case("two workers", "stubborn", "process", again=1.5),
]
SIGTERM = [Case("isolated", where, "process", number=signal.SIGTERM) for where in ("import", "alone", "concurrent")]
SIGKILL = [Case("isolated", where, "process", number=signal.SIGKILL) for where in ("alone", "concurrent")]
ALL = [*CTRL_C, *SIGTERM, *SIGKILL]


class Done(NamedTuple):
    """What came of a case."""

    status: int
    out: str
    err: str
    folder: os.PathLike
    left: list[str]


def execute(case, folder):
    """Run the project, send the signal when the run has come to the place, wait until it has ended."""
    minirun.write(folder, PROJECT)
    temporary = folder / "temporary"
    temporary.mkdir()
    env = minirun.environment(WHERE=case.where, TMPDIR=str(temporary), FTCHECK_TEST_MARK=str(folder))
    env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    if case.mode == "in process":
        env["INPROCESS"] = "1"
    options = ["-p", "xdist", "-p", "ftcheck.plugin", "-p", "no:cacheprovider", f"--basetemp={folder / 'tmp'}",
               "--junitxml=junit.xml", "--ftcheck-threads=2", "--ftcheck-rounds=2", "--ftcheck-timeout=100"]  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, *MODES[case.mode]],
        cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            wait_for(folder / "here", process)
            send = os.killpg if case.to == "group" else os.kill
            send(process.pid, case.number)
            if case.again:
                time.sleep(case.again)
                send(process.pid, case.number)
            out, err = process.communicate(timeout=minirun.LIMIT)
        except BaseException:
            process.kill()
            raise
    return Done(process.returncode, out, err, folder, left_behind(folder, temporary))


def wait_for(path, process):
    deadline = time.monotonic() + minirun.LIMIT
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """All cases, several at a time: each waits most of its time."""
    with ThreadPoolExecutor(4) as pool:
        folders = [tmp_path_factory.mktemp("mini") for _ in ALL]
        return dict(zip(ALL, pool.map(execute, ALL, folders), strict=True))


@pytest.mark.parametrize("case", CTRL_C, ids=str)
def test_ctrl_c(runs, case):
    """Exit status 2; the summary with what was found so far; nobody and nothing left."""
    done = runs[case]
    assert done.status == 2, done
    assert done.left == []
    assert "Traceback" not in done.err
    lines = pytest.LineMatcher(done.out.splitlines())
    lines.no_fnmatch_line("*INTERNALERROR*")
    lines.fnmatch_lines(["!!!*KeyboardInterrupt*!!!"])
    cases = {one.get("name") for one in ElementTree.parse(done.folder / "junit.xml").getroot().iter("testcase")}
    if case.where in NOTHING_RUN_YET:
        lines.fnmatch_lines(["*no tests ran in*"])
        assert cases == set()
    else:
        lines.fnmatch_lines(["[12]  passed *nothing found*", "*[12] passed*"])  # two workers may have done two of them
        assert "test_first" in cases
    lines.no_fnmatch_line("*crash*")


@pytest.mark.parametrize("case", SIGTERM, ids=str)
def test_sigterm(runs, case):
    """The same as Ctrl-C."""
    done = runs[case]
    assert done.status == 2, done
    assert done.left == []
    pytest.LineMatcher(done.out.splitlines()).fnmatch_lines(["!!!*SIGTERM*!!!"])


@pytest.mark.parametrize("case", SIGKILL, ids=str)
def test_sigkill(runs, case):
    """The controlling process can say nothing any more, but its workers notice, and clean up."""
    done = runs[case]
    assert done.status == -signal.SIGKILL
    assert done.left == []

"""Two runs of one project at the same time, in the same folder: each is right, and neither knows of the other."""

import json
import sys
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor

import pytest

from . import minirun
from .leftovers import left_behind

PROJECT = {
    # Each run waits in the middle for the other one, so they are under way at the same time for certain.
    "conftest.py": """
        import os, pathlib, time
        def pytest_runtest_logstart(nodeid):
            if "test_meanwhile" in nodeid and "PYTEST_XDIST_WORKER" in os.environ:
                mine, other = os.environ["MINE"], os.environ["OTHER"]
                pathlib.Path(f"{mine}-is-here").touch()
                while not pathlib.Path(f"{other}-is-here").exists():
                    time.sleep(0.05)
    """,
    "test_mini.py": """
        import os, threading, time
        import pytest
        from meeting import meet

        def test_before(tmp_path):
            (tmp_path / "file").write_text(os.environ["MINE"])
            meet()
            assert (tmp_path / "file").read_text() == os.environ["MINE"]

        def test_crash():
            if meet() == 0: os.abort()
            threading.Event().wait(100)

        def test_meanwhile(): meet()

        @pytest.mark.ftcheck(timeout=2)
        def test_hang():
            meet()
            time.sleep(1000)

        def test_crash_again():
            if meet() == 0: os._exit(3)
            threading.Event().wait(100)

        def test_only_in_one():
            meet()
            assert os.environ["MINE"] == "first"
    """,
}
ARGUMENTS = ("--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=2", "--ftcheck-timeout=60", "--ftcheck-classify=0")
EXPECTED = {
    "test_before": "passed",
    "test_crash": "crash",
    "test_meanwhile": "passed",
    "test_hang": "hang",
    "test_crash_again": "crash",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Both, by name."""
    folder, temporary = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("temporary")
    minirun.write(folder, PROJECT)

    def one(mine, other):
        # Only what a run writes where it is told to has a name of its own; cache and temporary folders are shared.
        env = minirun.environment(
            MINE=mine, OTHER=other, TMPDIR=str(temporary), FTCHECK_TEST_MARK=str(temporary),
            FTCHECK_TEST_RECORD=str(folder / f"{mine}.json"), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
        )  # fmt: skip
        plugins = ("-p", "xdist", "-p", "ftcheck.plugin", "-p", "ftcheck_recorder")
        command = [sys.executable, "-m", "pytest", *plugins, f"--junitxml={mine}.xml", *ARGUMENTS]
        run = minirun.execute(folder, command, env)
        run.record = json.loads((folder / f"{mine}.json").read_text())
        return run

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(one, "first", "second"), pool.submit(one, "second", "first")
        return {"first": first.result(), "second": second.result(), "left": left_behind(temporary, temporary)}


@pytest.mark.parametrize("name", ["first", "second"])
def test_verdicts(runs, name):
    """Each run has all verdicts, and a complete JUnit file."""
    run = runs[name]
    expected = EXPECTED | {"test_only_in_one": "passed" if name == "first" else "failure"}
    assert run.verdicts() == {f"test_mini.py::{test}": verdict for test, verdict in expected.items()}
    assert run.status == 1
    run.lines.no_fnmatch_line("*INTERNALERROR*")
    cases = ElementTree.parse(run.folder / f"{name}.xml").getroot().iter("testcase")
    assert sorted(str(case.get("name")) for case in cases) == sorted(expected)


def test_nothing_is_left(runs):
    assert runs["left"] == []

"""pytest's own options and pytest-xdist's, where workers die: what is selected runs once, and is counted once."""

import os
import subprocess
import sys

import pytest

from . import minirun

SUITE = """
import os, threading
import pytest
from meeting import meet

def test_1(): meet()

def test_2():
    value = "in the failing thread"
    if meet() == 0:
        raise KeyError(value)

def test_3(): meet()

def test_4(): os.abort()

def test_5(): meet()

def test_6(): assert meet() is None

def test_7(): meet()
"""
VERDICTS = dict(zip((f"test_suite.py::test_{number}" for number in range(1, 8)),
                    ("passed", "failure", "passed", "crash", "passed", "failure", "passed"), strict=True))  # fmt: skip
FILES = {"test_suite.py": SUITE}
RUN = ("--ftcheck-threads=2", "--ftcheck-rounds=2", "--ftcheck-timeout=120", "--ftcheck-classify=0")
ARGUMENTS = ("--ftcheck", *RUN)


def final(run):
    """Every outcome that was reported for the body or, where there was none, for another phase, by test."""
    outcomes = {}
    for report in run.record["reports"]:
        if report["outcome"] != "rerun" and (report["when"] == "call" or report["outcome"] != "passed"):
            outcomes.setdefault(report["test"], []).append(report["outcome"])
    return outcomes


def order(run):
    """The tests in the order in which they were reported."""
    return [name.rpartition("_")[2] for name in final(run)]


@pytest.fixture(scope="module")
def everything(mini):
    """A first run of everything; its folder has pytest's cache."""
    return mini(FILES, *ARGUMENTS, "--durations=3", "-o", "console_output_style=count")


def test_each_test_has_one_verdict(everything):
    """With one worker that dies."""
    assert everything.verdicts() == VERDICTS
    assert {len(outcomes) for outcomes in final(everything).values()} == {1}
    everything.lines.fnmatch_lines(["*= slowest 3 durations =*", "*= 3 failed, 4 passed in *"])


def test_several_workers(mini):
    """``-n 2``: the same verdicts, each once, and each worker is watched."""
    run = mini(FILES, *ARGUMENTS, "-n2")
    assert run.verdicts() == VERDICTS
    assert {len(outcomes) for outcomes in final(run).values()} == {1}
    run.lines.fnmatch_lines(["created: 2/2 workers", "*= 3 failed, 4 passed in *"])
    assert len(list(run.junit.iter("testcase"))) == 7


def test_last_failed_and_failed_first(everything, mini):
    """A test that crashed has failed as well; ``--ff`` runs the others, too."""
    run = mini(FILES, *ARGUMENTS, "--lf", folder=everything.folder)
    assert sorted(order(run)) == ["2", "4", "6"]
    first = mini(FILES, *ARGUMENTS, "--ff", "--deselect=test_suite.py::test_4", folder=everything.folder)
    assert order(first) == ["2", "6", "1", "3", "5", "7"]


def test_stepwise(mini):
    """``--sw`` stops at a crash and goes on there next time."""
    run = mini(FILES, *ARGUMENTS, "--sw", "--deselect=test_suite.py::test_2")
    assert order(run) == ["1", "3", "4"]
    again = mini(FILES, *ARGUMENTS, "--sw", "--deselect=test_suite.py::test_2", folder=run.folder)
    assert order(again) == ["4"]
    skipping = mini(FILES, *ARGUMENTS, "--sw-skip", "--deselect=test_suite.py::test_2", folder=run.folder)
    assert order(skipping)[:2] == ["4", "5"]


@pytest.mark.parametrize(("option", "ran"), [("-x", ["1", "3", "4"]), ("--maxfail=2", ["1", "3", "4", "5", "6"])])
def test_stops_after_failures(mini, option, ran):
    """A crash counts for ``-x`` and ``--maxfail`` like any failure; with xdist, a worker may have begun the next test."""
    run = mini(FILES, *ARGUMENTS, option, "--deselect=test_suite.py::test_2")
    assert run.status == 1
    assert order(run)[: len(ran)] == ran
    run.lines.fnmatch_lines([f"*!! stopping after {1 if option == '-x' else 2} failures !!*"])


@pytest.mark.parametrize("worker", ["isolated", "in process"])
def test_selection(mini, worker):
    """``-k``, ``--deselect`` and node ids select as always."""
    here = () if worker == "isolated" else ("--ftcheck-isolate=no",)
    run = mini(FILES, *ARGUMENTS, *here, "-k", "not 2 and not 4", "--deselect=test_suite.py::test_6")
    assert (run.status, order(run)) == (0, ["1", "3", "5", "7"])
    run.lines.fnmatch_lines(["*= 4 passed*"])
    one = mini(FILES, *ARGUMENTS, *here, "test_suite.py::test_3", "test_suite.py::test_1")
    assert order(one) == ["3", "1"]


def test_without_xdist(mini):
    """In process, and the header says so and why."""
    run = mini(FILES, *ARGUMENTS, "-p", "no:xdist", "-k", "not 4")
    assert order(run) == ["1", "2", "3", "5", "6", "7"]
    assert run.verdict("test_2") == "failure"
    run.lines.fnmatch_lines(["ftcheck: *, NOT isolated (pytest-xdist is switched off (-p no:xdist))"])


def test_without_terminal(mini):
    """Nothing is printed, and nothing is missing."""
    run = mini(FILES, *ARGUMENTS, "-p", "no:terminal")
    assert (run.status, run.out) == (1, "")
    assert run.verdicts() == VERDICTS
    assert len(list(run.junit.iter("testcase"))) == 7


def test_debugger(tmp_path):
    """``--pdb`` opens in this process, in the frame where a thread failed, with the captured output switched off."""
    minirun.write(tmp_path, FILES)
    command = [sys.executable, "-m", "pytest", "-p", "ftcheck.plugin", "-p", "xdist", *ARGUMENTS, "--pdb", "-k", "not 4"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=minirun.environment() | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        input="p 'seen', value\np __import__('threading').current_thread().name\nq\n",
        capture_output=True,
        text=True,
        timeout=minirun.LIMIT,
        check=False,
    )
    assert "NOT isolated (--pdb)" in done.stdout, done
    assert f"> {tmp_path}{os.sep}test_suite.py(11)test_2()" in done.stdout
    assert "('seen', 'in the failing thread')" in done.stdout
    assert "MainThread" in done.stdout
    assert "= 1 failed, 1 passed, 1 deselected in" in done.stdout

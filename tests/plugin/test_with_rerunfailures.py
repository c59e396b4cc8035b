"""pytest-rerunfailures runs a failing test again; what was found in threads stays found."""

import pytest

SUITE = """
import os, threading
import pytest
from meeting import meet

@pytest.fixture(autouse=True)
def once():
    '''So a body is called exactly once per thread and round.'''

attempts = []

def test_always_fails():
    meet()
    raise KeyError("each time")

def test_fails_at_first():
    meet()
    attempts.append(1)
    assert len(attempts) > 2 * 2

alone = []

def test_alone_fails_at_first(monkeypatch):
    alone.append(1)
    assert len(alone) == 2

def test_always_crashes(): os.abort()

def test_crashes_at_first():
    try:
        os.mkdir("crashed")
    except FileExistsError:
        meet()
    else:
        os.abort()

def test_passes(): meet()
"""
ARGUMENTS = ("--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=2", "--ftcheck-timeout=120", "--ftcheck-classify=0")
RERUNS = ("-p", "rerunfailures", "--reruns=1")


@pytest.fixture(scope="module")
def suite(mini):
    """Each failing test gets a second chance."""
    return mini({"test_flaky.py": SUITE}, *RERUNS, *ARGUMENTS)


def attempts(run, name):
    """Outcomes of the attempts of a test."""
    decisive = [report for report in run.record["reports"] if report["test"].endswith(f"::{name}")]
    return [
        report["outcome"]
        for report in decisive
        if report["when"] == "call" and (report["text"] or report["outcome"] == "passed")
    ]


@pytest.mark.parametrize(
    ("name", "outcomes", "verdict"),
    [
        ("test_always_fails", ["rerun", "failed"], "failure"),
        ("test_fails_at_first", ["rerun", "passed"], "failure"),
        ("test_alone_fails_at_first", ["rerun", "passed"], "not checked"),
        ("test_always_crashes", ["rerun", "failed"], "crash"),
        ("test_crashes_at_first", ["rerun", "passed"], "crash"),
        ("test_passes", ["passed"], "passed"),
    ],
)
def test_attempts(suite, name, outcomes, verdict):
    """Each failing test was run again, and it has one verdict: the worst of what threads have shown."""
    assert attempts(suite, name) == outcomes
    assert suite.verdict(name) == verdict
    assert sum(test["test"].endswith(f"::{name}") for test in suite.record["run"]["tests"]) == 1


def test_it_is_said_that_it_passed_later(suite):
    """The finding of an attempt that was repeated says so, or pytest's *passed* would contradict it."""
    assert suite.finding("test_fails_at_first")["headline"].endswith("(and then run again by pytest-rerunfailures)")
    assert suite.finding("test_crashes_at_first")["headline"].endswith("(and then run again by pytest-rerunfailures)")


def test_counts(suite):
    """pytest counts the last attempts, as it does without ftcheck."""
    assert suite.status == 1
    suite.lines.fnmatch_lines(["*= 2 failed, 3 passed, 5 rerun, 1 not checked in *"])


def test_junit_has_no_empty_cases(suite):
    """One element for each attempt that reached its teardown, as without ftcheck, and none without a name."""
    names = [case.get("name") for case in suite.junit.iter("testcase")]
    assert None not in names
    assert {name: names.count(name) for name in names} == {
        "test_always_fails": 2,
        "test_fails_at_first": 2,
        "test_alone_fails_at_first": 2,
        "test_always_crashes": 1,
        "test_crashes_at_first": 1,
        "test_passes": 1,
    }
    assert suite.junit.get("tests") == "6"


def test_found_once_is_found(mini):
    """A run in which all tests pass at last is red if one of them failed in threads: its race is still there."""
    run = mini({"test_flaky.py": SUITE}, *RERUNS, *ARGUMENTS, "-k", "fails_at_first and not alone", "--ftcheck-isolate=no")
    run.lines.fnmatch_lines(["*= 1 passed, 5 deselected, 1 rerun in *"])
    assert (run.status, run.verdict("test_fails_at_first")) == (1, "failure")
    calm = mini({"test_flaky.py": SUITE}, *RERUNS, *ARGUMENTS, "-k", "alone or passes", "--ftcheck-isolate=no")
    assert (calm.status, calm.verdict("test_alone_fails_at_first")) == (0, "not checked"), calm

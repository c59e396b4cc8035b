"""pytest-timeout, by signal and by thread: its limit ends what hangs, and nothing but the hanging test is lost."""

import pytest

SUITE = """
import threading, time
import pytest
from meeting import meet

@pytest.fixture(autouse=True)
def once():
    '''So a body is called exactly once per thread and round.'''

never = threading.Event()

def test_before(): meet()

def test_hangs():
    if meet() == 0:
        never.wait(600)

def test_between(): meet()

def test_hangs_alone(monkeypatch): never.wait(600)

@pytest.mark.timeout(1, func_only=True)
def test_only_the_body_counts():
    if meet() == 0:
        never.wait(600)

@pytest.fixture
def hanging(): never.wait(600)

def test_hangs_in_setup(hanging): pass

@pytest.mark.timeout(600)
@pytest.mark.ftcheck(timeout=2)
def test_ours_is_shorter():
    if meet() == 0:
        never.wait(600)

@pytest.mark.timeout(600)
@pytest.mark.ftcheck(rounds=1)
def test_longer_than_the_others_may(): time.sleep(5) if meet() else None

@pytest.mark.timeout(0)
def test_without(): meet()

def test_each_round_has_the_whole_time():
    meet()
    time.sleep(1.2)

def test_after(): meet()
"""
PASSED = ("before", "between", "longer_than_the_others_may", "without", "each_round_has_the_whole_time", "after")
ARGUMENTS = ("--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=4", "--ftcheck-timeout=120", "--ftcheck-classify=0")


@pytest.fixture(scope="module", params=["signal", "thread"])
def suite(request, mini):
    """The suite with a limit of two seconds: four in two threads, for they may run one after the other."""
    limit = ("-p", "timeout", "--timeout=2", f"--timeout-method={request.param}")
    run = mini({"test_slow.py": SUITE}, *limit, *ARGUMENTS)
    run.method = request.param
    return run


@pytest.mark.parametrize("name", PASSED)
def test_others_are_not_lost(suite, name):
    """A hang costs no other test, and their limit is no limit for all rounds together."""
    assert suite.verdict(f"test_{name}") == "passed", suite.text(f"test_{name}")


@pytest.mark.parametrize(
    ("name", "headline"),
    [
        ("test_hangs", "round 1: not over after 4."),
        ("test_only_the_body_counts", "round 1: not over after 2."),
        ("test_ours_is_shorter", "round 1: not over after 2."),
        ("test_hangs_in_setup", "not over after 4."),
    ],
)
def test_hang_is_a_hang(suite, name, headline):
    """Whose limit is reached first decides when, and the verdict says what it is: no failure and no crash."""
    assert suite.verdict(name) == "hang"
    assert headline in suite.finding(name)["headline"]
    assert "test_slow.py" in suite.finding(name)["detail"]


def test_hang_of_a_test_that_runs_alone(suite):
    """By signal pytest-timeout interrupts it; by thread it would end the process, so that is left to the worker's watch."""
    assert suite.verdict("test_hangs_alone") == ("failure" if suite.method == "signal" else "hang")
    where = suite.text("test_hangs_alone")
    assert ("Timeout (>2.0s) from pytest-timeout" if suite.method == "signal" else "not over after 2.") in where


def test_junit_is_complete(suite):
    """All tests are in the JUnit file."""
    assert suite.status == 1
    assert len(suite.verdicts()) == len({case.get("name") for case in suite.junit.iter("testcase")}) == 11
    assert suite.junit_outcome("test_hangs") == ["failure"]


def test_in_process(mini):
    """Without a worker as well the test is ended by our watch, and the run goes on."""
    suite = SUITE.replace("def test_hangs_", "def helper_").replace("never.wait(600)", "never.wait(10)")
    limit = ("-p", "timeout", "--timeout=1", "-k", "before or hangs or after")
    run = mini({"test_slow.py": suite}, *limit, *ARGUMENTS, "--ftcheck-isolate=no")
    assert run.verdict("test_hangs") == "hang"
    assert run.verdict("test_before") == run.verdict("test_after") == "passed", run

"""A test that does not end is ended: deadlock or hang is its verdict, with every thread's stack, and the run goes on."""

import re

import pytest

HANGS = """
import ctypes, threading, time
import ftcheck, pytest
from meeting import meet

first, second = threading.Lock(), threading.Lock()

def holds(one, other, name):
    with one:
        meet(name)
        with other:
            pass

def first_then_second(name): holds(first, second, name)
def second_then_first(name): holds(second, first, name)

def test_before(): meet()

def test_deadlock():
    if meet() == 0:
        first_then_second("locked")
    second_then_first("locked")

def test_deadlock_of_its_own_threads():
    ftcheck.concurrently(lambda: first_then_second("own"), lambda: second_then_first("own"))

def for_ever():
    while True:
        time.sleep(0.01)

def busy():
    while True:
        pass

def in_c():
    ctypes.PyDLL(None).pause()  # holds on to its thread state: nothing can stop the world any more

@pytest.mark.ftcheck(timeout=3)
def test_hang_of_one():
    if meet() == 0:
        busy()

@pytest.mark.ftcheck(timeout=3)
def test_hang_in_c():
    if meet() == 0:
        in_c()

rounds = []

@pytest.mark.ftcheck(timeout=4)
def test_hang_in_round_two(request):
    if meet() == 0:
        rounds.append(1)
        if len(rounds) == 2:
            for_ever()

@pytest.fixture
def never_up(): for_ever()

@pytest.mark.ftcheck(timeout=1)
def test_setup(never_up): pass

@pytest.fixture
def never_up_in_a_thread():
    if threading.current_thread() is not threading.main_thread():
        for_ever()

@pytest.mark.ftcheck(timeout=1)
def test_setup_in_thread(never_up_in_a_thread): pass

@pytest.fixture(scope="class")
def never_down():
    yield
    for_ever()

class TestTeardown:
    @pytest.mark.ftcheck(timeout=4)
    def test_teardown(self, never_down): meet()

def test_thread_left_behind(request):
    if meet() == 0:
        threading.Thread(target=threading.Event().wait).start()

def test_after(): meet()
"""

ARGUMENTS = ("--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=3", "--ftcheck-timeout=120")


@pytest.fixture(scope="module")
def hangs(mini):
    """All of them in one run."""
    return mini({"test_hangs.py": HANGS}, *ARGUMENTS)


def test_the_run_ends(hangs):
    """Also with a non-daemon thread left behind; all tests have a verdict and are in the JUnit file once."""
    assert hangs.status == 1
    assert hangs.verdict("test_before") == hangs.verdict("test_after") == "passed"
    names = [case.get("name") for case in hangs.junit.iter("testcase")]
    assert sorted(names) == sorted(test.rpartition("::")[2] for test in hangs.verdicts())
    assert len(names) == 11


STALLS = [
    ("test_deadlock", "deadlock", "call", ["first_then_second", "second_then_first"]),
    ("test_deadlock_of_its_own_threads", "deadlock", "call", ["first_then_second", "second_then_first"]),
    ("test_hang_of_one", "hang", "call", ["busy"]),
    ("test_hang_in_c", "hang", "call", ["in_c"]),
    ("test_hang_in_round_two", "hang", "call", ["for_ever"]),
    ("test_setup", "hang", "setup", ["never_up", "for_ever"]),
    ("test_setup_in_thread", "hang", "call", ["never_up_in_a_thread", "for_ever"]),
    ("TestTeardown::test_teardown", "hang", "teardown", ["never_down", "for_ever"]),
]


@pytest.mark.parametrize(("name", "verdict", "phase", "places"), STALLS, ids=[stall[0] for stall in STALLS])
def test_stall_is_the_verdict(hangs, name, verdict, phase, places):
    """Deadlock or hang, in its phase, with the functions in which the threads stand."""
    assert hangs.verdict(name) == verdict
    finding = hangs.finding(name)
    assert finding["phase"] == phase
    outcome, text = hangs.reports(name)[phase]
    assert outcome == "failed"
    assert f"{verdict}: {finding['headline']}" in text
    for place in places:
        assert place in finding["detail"]
    assert hangs.junit_outcome(name) == ["failure" if phase == "call" else "error"]
    assert hangs.junit_properties(name)["ftcheck_verdict"] == verdict


def test_round_is_said(hangs):
    assert "round 2" in hangs.finding("test_hang_in_round_two")["headline"]
    assert "round 1" in hangs.finding("test_deadlock")["headline"]


def test_thread_left_behind_is_no_stall(hangs):
    assert hangs.verdict("test_thread_left_behind") == "passed"


def test_hang_at_collection(mini):
    """A module that never ends its import is a finding within the run's timeout, and costs no other file."""
    files = {
        "test_a.py": "import time\nwhile True: time.sleep(0.01)\n",
        "test_b.py": "from meeting import meet\ndef test_fine(): meet()\n",
    }
    run = mini(files, "--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=2", "--ftcheck-timeout=8")
    assert run.status == 1
    assert run.verdicts() == {"test_b.py::test_fine": "passed"}
    [finding] = run.general
    assert (finding["verdict"], finding["phase"], finding["tests"]) == ("hang", "collection", ["test_a.py"])
    assert 'test_a.py", line 2' in finding["detail"]
    seconds = re.search(r"not over after (\d+)", finding["headline"])
    assert int(seconds[1]) < 60  # the default


def test_hangs_without_a_worker(mini):
    """In the process itself: the same verdicts, and the process ends although the threads do not."""
    names = "test_before or test_deadlock or test_hang_of_one or test_after"
    run = mini({"test_hangs.py": HANGS}, *ARGUMENTS, "--ftcheck-isolate=no", "-k", names)
    assert run.status == 1
    assert run.verdict("test_before") == "passed"
    assert run.verdict("test_deadlock") == "deadlock"
    assert run.verdict("test_hang_of_one") == "hang"
    assert "first_then_second" in run.text("test_deadlock")
    assert run.verdict("test_after") in ("passed", "not checked")
    assert run.junit_outcome("test_deadlock") == ["failure"]
    run.lines.fnmatch_lines(["* failed*"])

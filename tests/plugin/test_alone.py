"""Tests that would change the whole process run alone, once, on the main thread, and the reason is counted."""

import sys

import pytest

TESTS = '''
import contextlib, logging, os, random, signal, sys, threading, time, unittest, warnings
from os import chdir
from unittest import mock
import pytest
import ftcheck
from meeting import meet

ran = []

@pytest.fixture(autouse=True)
def counted(request):
    yield
    ran.append((request.node.name, threading.current_thread() is threading.main_thread()))

def deep(levels):
    return deep(levels - 1) if levels else os.environ.__setitem__("FTCHECK_X", "1")

def test_environ_ten_calls_deep():
    deep(10)
    assert os.environ.pop("FTCHECK_X") == "1"

@pytest.fixture
def elsewhere(tmp_path):
    before = os.getcwd()
    chdir(tmp_path)
    yield
    os.chdir(before)

def test_chdir_in_a_fixture(elsewhere, tmp_path):
    assert os.getcwd() == str(tmp_path)

@mock.patch("os.getppid", lambda: -5)
def test_mock_patch_decorator():
    assert os.getppid() == -5

class TestSignal(unittest.TestCase):
    def test_signal(self):
        before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, before)

def test_own_threads_and_a_signal_handler():
    signal.signal(signal.SIGUSR1, signal.getsignal(signal.SIGUSR1))
    ftcheck.concurrently(int, int)

def test_monkeypatch_by_hand():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "getppid", lambda: -6)
        assert os.getppid() == -6

def test_patches_by_hand():
    before = time.sleep
    time.sleep = lambda seconds: before(0)
    time.sleep(1000)
    time.sleep = before

def test_is_no_longer_patched():
    assert time.sleep.__module__ == "time"
    meet()

def test_a_doctest_inside():
    """
    >>> 1 + 1
    2
    """
    import doctest
    assert doctest.run_docstring_examples(test_a_doctest_inside, globals()) is None

def test_fails_alone():
    os.umask(os.umask(0o22))
    raise KeyError("alone")

def test_skipped_alone():
    os.umask(os.umask(0o22))
    pytest.skip("alone")

@pytest.fixture
def breaks():
    yield
    os.umask(os.umask(0o22))
    raise KeyError("in the teardown")

def test_teardown_fails_alone(breaks): pass

def test_one_waits_for_the_other():
    if threading.current_thread() is threading.main_thread():
        return
    if meet("first") == 0:
        os.umask(os.umask(0o22))
    meet("second")

@pytest.mark.ftcheck(allow=["os.umask"])
def test_allowed():
    os.umask(os.umask(0o22))
    meet()

@pytest.mark.ftcheck(share=["value"])
@pytest.mark.parametrize("value", [threading.Lock()], ids=["lock"])
def test_shared_lock(value):
    meet()

@pytest.mark.parametrize("value", [threading.Lock()], ids=["lock"])
def test_lock(value):
    with value: pass

def test_warns():
    with pytest.warns(UserWarning, match="mine"):
        warnings.warn("mine")
    meet()

def test_mock_object():
    assert mock.Mock(return_value=4)() == 4
    meet()

def test_how_often(request):
    names = [name for name, _ in ran]
    for name in ("test_environ_ten_calls_deep", "test_fails_alone", "test_mock_patch_decorator"):
        on_main = [main for one, main in ran if one == name]
        assert on_main.count(True) == 2, (name, ran)   # pytest's own set-up of the test, and its run alone
'''

REASONS = {
    "test_environ_ten_calls_deep": "changes the environment (os.putenv)",
    "test_chdir_in_a_fixture": "changes the working directory (os.chdir)",
    "test_mock_patch_decorator": "patches an object that all threads see (unittest.mock.patch)",
    "TestSignal::test_signal": "sets a signal handler (signal.signal)",
    "test_own_threads_and_a_signal_handler": "sets a signal handler (signal.signal)",
    "test_monkeypatch_by_hand": "changes objects that all threads see (pytest.MonkeyPatch)",
    "test_patches_by_hand": "replaces a global that all threads see (time.sleep)",
    "test_one_waits_for_the_other": "changes the file mode creation mask (os.umask)",
    "test_lock[lock]": "parameter 'value' (lock) cannot be copied for each thread (TypeError); share=['value'] shares it",
}


@pytest.fixture(scope="module")
def alone(mini):
    """One run of all of them."""
    return mini({"test_alone.py": TESTS}, "--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=3",
                "--ftcheck-timeout=120", "--ftcheck-classify=0")  # fmt: skip


@pytest.mark.parametrize("name", REASONS)
def test_runs_alone_with_the_reason(alone, name):
    assert alone.verdict(name) == "not checked", alone.text(name)
    assert alone.test(name)["reason"] == REASONS[name]
    assert alone.test(name)["coverage"] is None
    assert alone.junit_properties(name)["ftcheck_verdict"] == "not checked"
    assert alone.junit_outcome(name) == []


def test_the_reasons_are_counted(alone):
    alone.lines.fnmatch_lines(
        [
            "not checked, because:",
            "     2  sets a signal handler (signal.signal)",
            "     1  changes the environment (os.putenv)",
        ]
    )


def test_a_failure_when_run_alone_is_a_failure(alone):
    assert alone.verdict("test_fails_alone") == "failure"
    assert "KeyError: 'alone'" in alone.text("test_fails_alone")
    assert "threads" not in alone.finding("test_fails_alone")["headline"]


def test_so_is_one_in_the_teardown(alone):
    assert alone.verdict("test_teardown_fails_alone") == "failure"
    assert "in the teardown" in alone.text("test_teardown_fails_alone")


def test_a_skip_is_a_skip(alone):
    assert alone.verdict("test_skipped_alone") == "skipped"


def test_what_the_standard_library_patches(alone):
    """doctest exchanges functions of several modules for its own time."""
    assert alone.verdict("test_a_doctest_inside") == "not checked"
    assert alone.test("test_a_doctest_inside")["reason"].startswith("replaces a global that all threads see (")


own_warnings = pytest.mark.skipif(
    not getattr(sys.flags, "context_aware_warnings", 0), reason="here all threads have the same filters for warnings"
)


@pytest.mark.parametrize(
    "name",
    [
        "test_allowed",
        "test_shared_lock[lock]",
        pytest.param("test_warns", marks=own_warnings),
        "test_mock_object",
        "test_is_no_longer_patched",
    ],
)
def test_what_threads_may_do_together(alone, name):
    assert alone.verdict(name) == "passed", alone.text(name)
    assert alone.test(name)["coverage"]["overlapped"] == 3


def test_run_once(alone):
    assert "AssertionError" not in str(alone.reports("test_how_often"))


FUNCTIONS = {
    "pytest.ini": "[pytest]\nthread_unsafe_functions =\n    printer.emit\n    plotter.*\n",
    "printer.py": "def emit(): pass\ndef other(): pass\n",
    "plotter.py": "def plot(): pass\n",
    "test_named.py": """
import printer
from printer import emit as renamed
from meeting import meet

def test_named(): (lambda: renamed())()
def test_all_of_a_module():
    from plotter import plot
    plot()
def test_other():
    printer.other()
    meet()
""",
}


def test_functions_that_the_ini_file_names(mini):
    run = mini(FUNCTIONS, "--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=1", "--ftcheck-isolate=no")
    assert run.status == 0, run
    assert run.test("test_named")["reason"] == "is named by thread_unsafe_functions (printer.emit)"
    assert run.test("test_all_of_a_module")["reason"] == "is named by thread_unsafe_functions (plotter.*)"
    assert run.verdict("test_other") == "passed"

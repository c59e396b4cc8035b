"""Together with the other plugins that are installed, ours loaded through its entry point as it is for users."""

import pytest

BODY = """
import threading
import pytest
from hypothesis import given, settings, strategies
from meeting import meet

def test_holds(): meet()

def test_fails(request):
    if meet() == 0:
        raise KeyError("in one thread")

seen = set()

@given(strategies.integers())
@settings(max_examples=3, database=None, deadline=None)
def test_given(number):
    seen.add(threading.get_ident())
    assert threading.current_thread() is not threading.main_thread()

def test_given_ran_in_several_threads(request):
    meet()
    assert len(seen) >= 2

@given(strategies.integers())
@settings(max_examples=3, database=None, deadline=None)
def test_given_fails(number):
    assert number is None
"""
ARGUMENTS = ("--ftcheck-threads=2", "--ftcheck-rounds=2", "--ftcheck-timeout=120")


@pytest.fixture(scope="module")
def together(mini):
    """One run with everything that is installed; the order of the tests counts here."""
    return mini({"test_all.py": BODY}, "-p", "no:randomly", "--ftcheck", *ARGUMENTS, plugins=True)


def test_entry_point(together):
    """Installing the package is enough."""
    assert together.status == 1
    together.lines.fnmatch_lines(["plugins: *ftcheck-*", "created: 1/1 worker"])
    assert together.verdict("test_holds") == "passed"
    assert together.verdict("test_fails") == "failure"


def test_given(together):
    """A @given test runs in each thread; its failure is a failure."""
    assert together.verdict("test_given") == "passed", together.text("test_given")
    assert together.verdict("test_given_ran_in_several_threads") == "passed"
    assert together.verdict("test_given_fails") == "failure"


def test_with_pytest_run_parallel(together, mini_many):
    """Both can be installed: no option of ours clashes with one of its, and its marker for unsafe tests is honoured."""
    together.lines.fnmatch_lines(["plugins: *run-parallel-*"])
    marked = """
    import pytest
    from meeting import meet
    @pytest.mark.thread_unsafe(reason="says so")
    def test_unsafe(): pass
    def test_other(): meet()
    """
    calls = [
        ["--help"],
        ["--markers"],
        ["--ftcheck", "--ftcheck-isolate=no", *ARGUMENTS, "--strict-markers", "-v"],
        ["--parallel-threads=2", "--no-ftcheck"],
    ]
    texts, markers, ours, theirs = mini_many({"test_unsafe.py": marked}, calls, plugins=True)
    assert texts.status == markers.status == ours.status == theirs.status == 0
    assert "--parallel-threads" in texts.out
    assert "--ftcheck-threads" in texts.out
    assert "thread_unsafe" in markers.out
    ours.lines.fnmatch_lines(["not checked, because:", "     1  marked thread_unsafe: says so"])
    theirs.lines.no_fnmatch_line("*= ftcheck =*")


@pytest.mark.parametrize("arguments", [(), ("--no-ftcheck",)])
def test_plain_xdist_run_is_left_alone(mini, arguments):
    """-n without --ftcheck and without our marker: no time limit, no watch over the workers, no output of ours."""
    body = """
    import os, time
    import pytest
    @pytest.fixture
    def slow(): time.sleep(3)
    def test_slow_setup(slow): pass
    def test_exit_is_not_replaced(): assert os._exit.__module__ == "posix"
    """
    run = mini({"test_slow.py": body}, "-n1", "--ftcheck-timeout=1", *arguments)
    assert run.status == 0
    run.lines.fnmatch_lines(["*= 2 passed in *"])
    assert "ftcheck" not in run.out.replace(str(run.folder), "").replace("ftcheck-0", "")
    assert run.verdicts() == {}

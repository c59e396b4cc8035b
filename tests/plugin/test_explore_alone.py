"""Explored tests that run alone after all, and how explored tests of unittest, hangs and strays are told."""

import sys

import pytest

TESTS = """
import asyncio
import locale
import os
import signal
import threading
import unittest
import warnings

import pytest

import ftcheck
import product

explored = pytest.mark.ftcheck(explore=True, threads=2)
RAN = []

class Counter:
    def __init__(self):
        self.value = 0

    def increment(self):
        self.value += 1

# --- alone --------------------------------------------------------------------------------------------------------------

@explored
def test_chdir(tmp_path):
    before = os.getcwd()
    os.chdir(tmp_path)
    assert os.getcwd() == str(tmp_path)
    os.chdir(before)
    RAN.append(threading.current_thread() is threading.main_thread())

def test_chdir_has_run_alone_at_last():
    assert RAN[-1]

@pytest.fixture
def elsewhere(tmp_path):
    before = os.getcwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)

@explored
def test_chdir_in_a_fixture(elsewhere):
    assert os.getcwd() == str(elsewhere)

@explored
def test_environ():
    os.environ["FTCHECK_TESTED"] = "1"
    assert os.environ.pop("FTCHECK_TESTED") == "1"

@explored
def test_signal():
    signal.signal(signal.SIGUSR1, signal.signal(signal.SIGUSR1, lambda *args: None))

@explored
def test_locale():
    locale.setlocale(locale.LC_ALL, "C")

@explored
def test_patches_by_hand():
    before = product.function
    product.function = len
    assert product.function("two") == 3
    product.function = before

def test_what_was_patched_is_back():
    assert product.function is sorted

@explored
def test_catches_everything():
    try:
        os.chdir(os.getcwd())
    except BaseException:
        pass

@explored
def test_in_a_thread_of_its_own():
    thread = threading.Thread(target=lambda: os.chdir(os.getcwd()))
    thread.start()
    thread.join()
    other = threading.Thread(target=lambda: asyncio.run(asyncio.sleep(0)))
    other.start()
    other.join()

@explored
def test_event_loop():
    async def main():
        await asyncio.sleep(0.01)
        return 1
    assert asyncio.run(main()) == 1

@explored
def test_event_loop_with_threads():
    counter = Counter()
    async def main():
        await asyncio.gather(asyncio.to_thread(counter.increment), asyncio.to_thread(counter.increment))
    asyncio.run(main())
    assert counter.value in (1, 2)

@explored
def test_event_loop_of_its_own():
    loop = asyncio.new_event_loop()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

@explored
def test_fails_alone():
    os.chdir(os.getcwd())
    raise KeyError("alone")

# --- not alone ----------------------------------------------------------------------------------------------------------

@explored
def test_warnings():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn("mine")
    assert len(caught) == 1

@explored
def test_one_copy_may_change_the_process(tmp_path):
    before = os.getcwd()
    os.chdir(tmp_path)
    counter, lock = Counter(), threading.Lock()
    def body():
        with lock:
            counter.increment()
    ftcheck.concurrently(body, body)
    os.chdir(before)
    assert counter.value == 2

@explored
@pytest.mark.ftcheck(allow=["os.chdir"])
def test_allowed():
    os.chdir(os.getcwd())

# --- how things are told ------------------------------------------------------------------------------------------------

class TestUnittest(unittest.TestCase):
    @explored
    @unittest.expectedFailure
    def test_expected_and_comes(self):
        counter = Counter()
        ftcheck.concurrently(counter.increment, counter.increment)
        assert counter.value == 2

    @explored
    @unittest.expectedFailure
    def test_expected_and_does_not_come(self):
        counter, lock = Counter(), threading.Lock()
        def body():
            with lock:
                counter.increment()
        ftcheck.concurrently(body, body)
        assert counter.value == 2

@explored
def test_thread_without_points():
    def work():
        raise OSError("no points")
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

@explored
def test_body_raises():
    def one():
        raise LookupError("a body")
    ftcheck.concurrently(one, lambda: None)

@explored
def test_deadlock():
    first, second = threading.Lock(), threading.Lock()
    def one():
        with first, second:
            pass
    def two():
        with second, first:
            pass
    ftcheck.concurrently(one, two)
"""
LOOP = "runs an event loop, and nobody controls what that waits for (asyncio.run)"
REASONS = {
    "test_chdir": "changes the working directory (os.chdir)",
    "test_chdir_in_a_fixture": "changes the working directory (os.chdir)",
    "test_environ": "changes the environment (os.putenv)",
    "test_signal": "sets a signal handler (signal.signal)",
    "test_locale": "changes the locale (locale.setlocale)",
    "test_patches_by_hand": "replaces a global that all threads see (product.function)",
    "test_catches_everything": "changes the working directory (os.chdir)",
    "test_in_a_thread_of_its_own": LOOP,
    "test_event_loop": LOOP,
    "test_event_loop_with_threads": LOOP,
    "test_event_loop_of_its_own": LOOP,
}


@pytest.fixture(scope="module")
def run(mini):
    files = {"test_alone.py": TESTS, "product.py": "function = sorted\n"}
    return mini(files, "--ftcheck-marked", "--ftcheck-seed=3", "--ftcheck-timeout=20", "-v", "-p", "no:randomly")


def there(name):
    """A test, where the interpreter has what it needs: with the GIL, threads inherit no context, and share filters."""
    flag = {"test_in_a_thread_of_its_own": "thread_inherit_context", "test_warnings": "context_aware_warnings"}.get(name)
    missing = flag is not None and not getattr(sys.flags, flag, 0)
    return pytest.param(name, marks=pytest.mark.skipif(missing, reason=f"sys.flags.{flag} is 0"))


@pytest.mark.parametrize("name", [there(one) for one in REASONS])
def test_runs_alone_with_the_reason(run, name):
    assert run.verdict(name) == "not checked", run.text(name)
    assert run.test(name)["reason"] == REASONS[name]
    assert run.test(name)["coverage"] is None


@pytest.mark.parametrize("name", ["test_chdir_has_run_alone_at_last", "test_what_was_patched_is_back"])
def test_plain_tests_in_between(run, name):
    run.lines.fnmatch_lines([f"*PASSED*{name}*"])


def test_a_failure_when_run_alone_is_a_failure(run):
    assert run.verdict("test_fails_alone") == "failure"
    assert "KeyError: 'alone'" in run.text("test_fails_alone")


def test_nobody_complains_of_a_coroutine_that_was_not_awaited(run):
    assert "never awaited" not in run.out


@pytest.mark.parametrize(
    "name", [there(one) for one in ["test_warnings", "test_one_copy_may_change_the_process", "test_allowed"]]
)
def test_what_does_not_have_to_run_alone(run, name):
    assert run.verdict(name) == "passed", run.text(name)
    assert run.test(name)["coverage"]["interleavings"] is not None


def test_expected_failure_comes_in_one_of_the_interleavings(run):
    """The run without preemptions holds. The search goes on, and what it finds is what was expected."""
    assert run.verdict("TestUnittest::test_expected_and_comes") == "expected failure"


def test_expected_failure_that_does_not_come(run):
    finding = run.finding("TestUnittest::test_expected_and_does_not_come")
    assert finding["verdict"] == "failure"
    assert finding["headline"] == "Unexpected success: a failure was expected, and no interleaving that was run has failed"
    assert finding["coverage"]["interleavings"]["complete"]


def test_the_thread_of_a_stray_exception_is_named(run):
    assert run.finding("test_thread_without_points")["detail"].startswith("OSError: no points in thread 1\n")


@pytest.mark.parametrize("name", ["test_body_raises", "test_thread_without_points"])
def test_the_traceback_is_that_of_the_test(run, name):
    """No frame of ours, and none that hands a body over."""
    assert "control.py" not in run.text(name)
    assert "pool.py" not in run.text(name)


def test_a_deadlock_is_told_once(run):
    summary = run.out.rpartition("= ftcheck =")[2]
    assert "deadlock: threads 1 and 2 wait for each other" in summary
    assert "switch to" not in summary
    assert "switch to" in run.text("test_deadlock")


HANGS = """
import select
import pytest
import ftcheck

@pytest.mark.ftcheck(explore=True)
def test_hangs():
    ftcheck.concurrently(lambda: select.select([], [], [], 60), lambda: None)
"""


def test_a_hang_is_not_classified(mini):
    """Reruns with and without the GIL say nothing of what was run under control."""
    run = mini({"test_hangs.py": HANGS}, "--ftcheck-marked", "--ftcheck-timeout=3")
    finding = run.finding("test_hangs")
    assert (finding["verdict"], finding["reliance"]) == ("hang", None)
    assert finding["coverage"]["interleavings"] is not None
    assert "classifying" not in run.out

"""process_wide.py: a body that would change the whole process is given up before it has, whatever way the call is made."""

import contextlib
import locale
import os
import signal
import sys
import threading
import time
import types
import unittest
import warnings
from os import chdir as imported_by_name
from unittest import mock

import pytest

import ftcheck
from ftcheck.stress import ProcessWatch, Watched
from ftcheck.stress.process_wide import in_charge

from .conftest import Functions, let_go


@pytest.fixture
def watched(run):
    """Runs a workload with calls watched."""

    def run_(workload, *also, **options):
        watch = ProcessWatch(also)
        watch.install()
        try:
            return run(workload, conditions={"watch": watch}, **options)
        finally:
            watch.uninstall()

    return run_


def deep(levels, call):
    return deep(levels - 1, call) if levels else call()


def swallowing(call):
    with contextlib.suppress(BaseException):
        call()


def through_a_decorator():
    mock.patch("os.getppid")(lambda mocked: None)()


def asserts_logs():
    with unittest.TestCase().assertLogs():
        pass


CALLS = {
    "os.chdir": lambda: os.chdir("/"),
    "by name": lambda: imported_by_name("/"),
    "ten calls deep": lambda: deep(10, lambda: os.chdir("/")),
    "caught": lambda: swallowing(lambda: os.chdir("/")),
    "in a thread": lambda: in_a_thread(lambda: os.chdir("/")),
    "environ": lambda: os.environ.__setitem__("FTCHECK_TEST", "1"),
    "environ, removed": lambda: os.environ.pop("PATH"),
    "umask": lambda: os.umask(0),
    "locale": lambda: locale.setlocale(locale.LC_ALL, "C"),
    "signal": lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
    "alarm": lambda: signal.alarm(100),
    "mock.patch": lambda: mock.patch("os.getppid").start(),
    "mock.patch decorator": through_a_decorator,
    "mock.patch.object": lambda: mock.patch.object(time, "sleep").__enter__(),
    "mock.patch.dict": lambda: mock.patch.dict(os.environ, {"A": "B"}).__enter__(),
    "redirect_stdout": lambda: contextlib.redirect_stdout(None).__enter__(),
    "assertLogs": asserts_logs,
    "dup2": lambda: os.dup2(0, 2),
}
HOLDS = {
    "locale is asked": lambda: locale.setlocale(locale.LC_ALL),
    "environ is read": lambda: os.environ.get("PATH"),
    "signal is asked": lambda: signal.getsignal(signal.SIGUSR1),
    "a mock that patches nothing": lambda: mock.Mock().method(),
    "dup2 elsewhere": lambda: os.close(os.dup2(0, 900 + threading.get_native_id() % 64)),
    "wrong arguments": lambda: swallowing(os.dup2),
}


def in_a_thread(call):
    """Under PEP 703 a thread inherits the context variables; elsewhere it does not, and is not watched."""
    thread = threading.Thread(target=lambda: swallowing(call))
    thread.start()
    thread.join()


inherits = getattr(sys.flags, "thread_inherit_context", 0)


@pytest.fixture
def unchanged():
    """The test leaves the process as it was."""

    def state():
        environ = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        return os.getcwd(), environ, signal.getsignal(signal.SIGUSR1), os.getppid, time.sleep

    before = state()
    yield
    assert state() == before


@pytest.mark.parametrize("name", [name for name in CALLS if inherits or name != "in a thread"])
@pytest.mark.parametrize("where", ["body", "prepare_", "cleanup_"])
def test_given_up_before_anything_is_changed(watched, unchanged, name, where):
    outcome = watched(Functions(**{where: lambda *numbers: CALLS[name]()}))
    assert outcome.alone
    assert outcome.failures == ()
    assert outcome.stall is None


@pytest.mark.parametrize("name", HOLDS)
def test_what_changes_nothing_is_no_reason(watched, name):
    outcome = watched(Functions(lambda *numbers: HOLDS[name]()), rounds=3)
    assert outcome.alone == ""
    assert outcome.failures == ()
    assert outcome.coverage.rounds == 3


@pytest.mark.skipif(not getattr(sys.flags, "context_aware_warnings", False), reason="filters are the process's here")
def test_warnings_are_caught_by_each_thread_for_itself(watched):
    def body(*numbers):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.warn("mine", stacklevel=1)
        assert len(caught) == 1

    assert watched(Functions(body), rounds=20).failures == ()


@pytest.mark.skipif(getattr(sys.flags, "context_aware_warnings", False), reason="each thread has its own filters here")
def test_warnings_are_the_processs(watched):
    def body(*numbers):
        with warnings.catch_warnings():
            pass

    assert watched(Functions(body)).alone == "collects the warnings of every thread (warnings.catch_warnings)"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("by name", "changes the working directory (os.chdir)"),
        ("environ", "changes the environment (os.putenv)"),
        ("mock.patch", "patches an object that all threads see (unittest.mock.patch)"),
        ("signal", "sets a signal handler (signal.signal)"),
        ("locale", "changes the locale (locale.setlocale)"),
    ],
)
def test_the_reason_names_the_call(watched, name, reason):
    assert watched(Functions(lambda *numbers: CALLS[name]())).alone == reason


def test_failures_before_it_do_not_count(watched):
    """The other thread may have failed because this one was given up."""

    def body(thread, round):
        if thread == 0:
            os.chdir("/")
        raise KeyError

    assert watched(Functions(body)).failures == ()


def test_a_thread_that_waits_for_one_that_was_given_up(watched):
    released = threading.Event()

    def body(thread, round):
        if thread == 0:
            os.chdir("/")
        released.wait()

    with let_go(released.set):
        outcome = watched(Functions(body))
        assert outcome.alone == "changes the working directory (os.chdir)"
        assert outcome.stall is None


def test_outside_of_a_round_nobody_is_asked(watched, tmp_path):
    """A thread that was there before the rounds goes where it likes."""
    asked, moved, over = threading.Event(), threading.Event(), []

    def other():
        asked.wait()
        before = os.getcwd()
        os.chdir(tmp_path)
        os.chdir(before)
        over.append(True)
        moved.set()

    thread = threading.Thread(target=other)
    thread.start()

    def body(*numbers):
        asked.set()
        moved.wait()

    assert watched(Functions(body)).alone == ""
    thread.join()
    assert over == [True]
    assert in_charge.get() is None


def test_one_copy_at_a_time_may_do_what_it_likes_but_on_the_main_thread(watched):
    """A test with threads of its own: what it patches around them is its own business."""

    def body(thread, round):
        with mock.patch("os.getppid"):
            ftcheck.concurrently(os.getpid, os.getpid)

    assert watched(Functions(body), own_threads=True).alone == ""
    outcome = watched(Functions(lambda *numbers: CALLS["signal"]()), own_threads=True)
    assert outcome.alone == "sets a signal handler (signal.signal)"


@pytest.mark.parametrize("allow", [True, ("os.chdir",), ("os.umask", "os.chdir")])
def test_allowed(watched, allow):
    here = os.getcwd()
    assert watched(Functions(lambda *numbers: os.chdir(here)), allow=allow).alone == ""


def test_others_are_still_watched(watched):
    assert watched(Functions(lambda *numbers: os.chdir("/")), allow=("os.umask",)).alone


@pytest.fixture
def module(monkeypatch):
    """A module that can be imported, with functions of several kinds."""
    module = types.ModuleType("ftcheck_test_module")
    exec(
        "import functools\n"
        "def first(): return 1\n"
        "def second(): return 2\n"
        "class Thing:\n"
        "    def __init__(self): pass\n"
        "    def method(self): return 3\n"
        "    @staticmethod\n"
        "    def static(): return 4\n"
        "@functools.wraps(first)\n"
        "def wrapped(): return first()\n",
        module.__dict__,
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("first", lambda module: module.first()),
        ("*", lambda module: module.second()),
        ("Thing", lambda module: module.Thing()),
        ("Thing.method", lambda module: module.Thing.method(None)),
        ("Thing.static", lambda module: module.Thing.static()),
    ],
)
def test_functions_that_the_user_names(watched, module, name, call):
    named = Watched(f"{module.__name__}.{name}", "is named")
    assert watched(Functions(lambda *numbers: call(module)), named).alone == f"is named ({module.__name__}.{name})"
    unnamed = Watched(f"{module.__name__}.other", "is named")
    assert watched(Functions(lambda *numbers: call(module)), unnamed).alone == ""


def test_a_module_that_the_body_itself_imports(watched, module, monkeypatch):
    """Its functions could not be watched in the first rounds, so these do not count, even if they were the only ones."""
    monkeypatch.delitem(sys.modules, module.__name__)

    def body(*numbers):
        sys.modules[module.__name__] = module
        module.first()

    outcome = watched(Functions(body), Watched(f"{module.__name__}.first", "is named"), rounds=1)
    assert outcome.alone == f"is named ({module.__name__}.first)"


def test_without_a_free_tool_id_what_cannot_be_watched_is_said(monkeypatch):
    taken = [number for number in range(6) if sys.monitoring.get_tool(number) is None]
    for number in taken:
        sys.monitoring.use_tool_id(number, "test")
    try:
        watch = ProcessWatch()
        watch.install()
        watch.uninstall()
        assert "unittest.mock._patch.__enter__" in watch.unwatched
        assert "os.chdir" not in watch.unwatched
    finally:
        for number in taken:
            sys.monitoring.free_tool_id(number)


def test_uninstalled_leaves_nothing(unchanged):
    before = [sys.monitoring.get_tool(number) for number in range(6)]
    watch = ProcessWatch()
    watch.install()
    watch.uninstall()
    assert [sys.monitoring.get_tool(number) for number in range(6)] == before
    asked = []
    in_charge.set(asked.append)
    try:
        os.umask(os.umask(0o22))
        with mock.patch("os.getppid"):
            pass
    finally:
        in_charge.set(None)
    assert asked == []


def test_other_failures_are_failures(watched):
    """A body's own exception is still a failure while calls are watched."""
    assert len(watched(Functions(lambda *numbers: {}["x"]), rounds=1).failures) == 2

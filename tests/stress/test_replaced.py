"""replaced.py: a body that patches a module by hand is noticed, what was there is put back, and the test runs alone."""

import sys
import threading
import time
import types

import pytest

from ftcheck.stress import GlobalsWatch

from .conftest import Functions


@pytest.fixture
def module(monkeypatch):
    """A loaded module with something of each kind."""
    module = types.ModuleType("ftcheck_replaced")
    exec(
        "import math\ndef function(): return 1\nclass Class: pass\nbuiltin = len\ncache = None\nitems = []\n",
        module.__dict__,
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.fixture
def watched(run):
    """Runs a workload while modules are watched."""

    def run_(body, **options):
        watch = GlobalsWatch()
        watch.install()
        try:
            return run(Functions(body), conditions={"replaced": watch}, **options)
        finally:
            watch.uninstall()

    return run_


@pytest.mark.parametrize("name", ["function", "Class", "builtin", "math"])
@pytest.mark.parametrize("fake", [lambda: 2, None, 5], ids=["function", "None", "number"])
def test_what_can_be_called_is_put_back(watched, module, name, fake):
    before = getattr(module, name)
    outcome = watched(lambda *numbers: setattr(module, name, fake))
    assert outcome.alone == f"replaces a global that all threads see (ftcheck_replaced.{name})"
    assert outcome.failures == ()
    assert getattr(module, name) is before


def test_deleted(watched, module):
    before = module.function
    assert watched(lambda *numbers: module.__dict__.pop("function", None)).alone
    assert module.function is before


def test_restored_in_the_wrong_order(watched, module):
    """Each copy puts back what it found: the one that came second found the other one's fake."""
    before, both = module.function, threading.Barrier(2)

    def body(thread, round):
        found = module.function
        module.function = lambda: thread
        both.wait()
        module.function = found

    assert watched(body).alone
    assert module.function is before


def test_a_name_that_was_not_there_before(watched, module):
    """The first copy adds it, the second one replaces it; each removes or puts back what it found."""
    both = threading.Barrier(2)

    def body(thread, round):
        if thread == 0:
            module.missing = lambda: 0
        both.wait()
        if thread == 1:
            found = module.missing
            module.missing = lambda: 1
        both.wait()
        if thread == 0:
            del module.missing
        both.wait()
        if thread == 1:
            module.missing = found

    assert watched(body).alone
    assert not hasattr(module, "missing")


def test_a_name_of_an_earlier_round(watched, module):
    def body(thread, round):
        if thread == 0 and round == 1:
            module.missing = lambda: 1
        if thread == 0 and round == 3:
            module.missing = lambda: 3

    assert watched(body).alone
    assert not hasattr(module, "missing")


def test_names_that_are_only_added_stay(watched, module):
    """An import inside of a body adds the submodule to its package."""
    assert watched(lambda *numbers: setattr(module, "added", sys)).alone == ""
    assert module.added is sys


def test_a_module_of_the_standard_library(watched):
    before = time.sleep
    assert watched(lambda *numbers: setattr(time, "sleep", print)).alone == (
        "replaces a global that all threads see (time.sleep)"
    )
    assert time.sleep is before


@pytest.mark.parametrize("name", ["cache", "items", "new"])
def test_other_globals_are_what_is_to_be_checked(watched, module, name):
    """Lazy initialisation, caches, counters."""
    outcome = watched(lambda *numbers: setattr(module, name, object()), rounds=3)
    assert outcome.alone == ""
    assert outcome.coverage.rounds == 3


def test_the_same_again_is_no_change(watched, module):
    assert watched(lambda *numbers: setattr(module, "function", module.function), rounds=3).alone == ""


def test_allowed(watched, module):
    fake = print
    assert watched(lambda *numbers: setattr(module, "function", fake), allow=("ftcheck_replaced.function",)).alone == ""
    assert module.function is fake


def test_one_copy_at_a_time_may(watched, module):
    outcome = watched(lambda *numbers: setattr(module, "function", print), own_threads=True)
    assert outcome.alone == ""
    assert module.function is print


def test_other_threads_may(watched, module):
    """What was there before the rounds is not asked."""
    go, done = threading.Event(), threading.Event()

    def other():
        go.wait()
        module.function = print
        done.set()

    thread = threading.Thread(target=other)
    thread.start()

    def body(*numbers):
        go.set()
        done.wait()

    assert watched(body).alone == ""
    assert module.function is print
    thread.join()


def test_not_after_uninstalling(run, module):
    watch = GlobalsWatch()
    watch.install()
    watch.uninstall()
    assert run(Functions(lambda *numbers: setattr(module, "function", print)), conditions={"replaced": watch}).alone == ""


def test_a_pending_exception_survives(watched, module):
    """The watcher is called in the middle of things."""

    def body(*numbers):
        try:
            raise KeyError("pending")
        finally:
            module.function = print

    outcome = watched(body)
    assert outcome.alone


def test_modules_that_come_later(run, monkeypatch):
    watch = GlobalsWatch()
    watch.install()
    try:
        module = types.ModuleType("ftcheck_later")
        module.function = len
        monkeypatch.setitem(sys.modules, module.__name__, module)
        watch.begin_test()
        outcome = run(Functions(lambda *numbers: setattr(module, "function", print)), conditions={"replaced": watch})
        assert outcome.alone
    finally:
        watch.uninstall()

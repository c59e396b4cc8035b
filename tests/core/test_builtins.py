"""builtins.c: a callback before a function written in C, however that was imported; the function is itself again after."""

import csv
import gc
import os
import re
import resource
import threading
import time
from _locale import setlocale
from os import chdir as imported_before

import pytest

from ftcheck import _core


class PreventedError(Exception):
    pass


@pytest.fixture
def watch():
    """``watch(function)``: calls are listed and raise PreventedError; ``watch(function, lets=True)`` lets them through."""
    calls, watched = [], []

    def start(function, lets=False):
        def callback(*args, **kwargs):
            calls.append((args, kwargs))
            if not lets:
                raise PreventedError

        _core.before_call(function, callback)
        watched.append(function)
        return calls

    yield start
    for function in watched:
        _core.before_call(function, None)


@pytest.mark.parametrize(
    ("function", "arguments", "keywords"),
    [
        (time.tzset, (), {}),  # METH_NOARGS
        (os.umask, (0o22,), {}),  # METH_O
        (setlocale, (0, None), {}),  # METH_FASTCALL
        (resource.setrlimit, (resource.RLIMIT_CORE, (0, 0)), {}),
        (os.chdir, ("/",), {}),  # METH_FASTCALL | METH_KEYWORDS
        (os.chdir, (), {"path": "/"}),
        (time.strptime, ("2026", "%Y"), {}),  # METH_VARARGS
        (max, (2, 3), {}),
        (csv.register_dialect, ("never",), {"delimiter": ";"}),  # METH_VARARGS | METH_KEYWORDS
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_prevents_the_call_and_sees_its_arguments(watch, function, arguments, keywords):
    calls = watch(function)
    with pytest.raises(PreventedError):
        function(*arguments, **keywords)
    assert calls == [(arguments, keywords)]


def test_lets_the_call_through(watch, tmp_path):
    before = os.getcwd()
    calls = watch(os.chdir, lets=True)
    os.chdir(tmp_path)
    assert os.getcwd() == str(tmp_path)
    imported_before(path=before)
    assert calls == [((tmp_path,), {}), ((), {"path": before})]


def test_a_call_that_the_interpreter_has_specialised(watch):
    """CALL_BUILTIN_FAST and its like keep the function object, and read the C function at each call."""

    def ask():
        return setlocale(0, None)

    expected = [ask() for _ in range(200)]
    calls = watch(setlocale, lets=True)
    assert [ask() for _ in range(200)] == expected
    assert len(calls) == 200


def test_no_longer(watch):
    calls = watch(os.umask)
    _core.before_call(os.umask, None)
    os.umask(os.umask(0o22))
    assert calls == []


def test_another_callback_takes_over(watch):
    first = watch(os.umask)
    seen = []
    _core.before_call(os.umask, seen.append)
    os.umask(os.umask(0o22))
    assert len(seen) == 2
    assert first == []


def test_never_watched_is_no_error():
    _core.before_call(os.getppid, None)
    assert os.getppid() > 0


@pytest.mark.parametrize("function", [len.__class__, lambda: None, print.__call__, 5])
def test_only_builtin_functions(function):
    with pytest.raises(TypeError):
        _core.before_call(function, print)


def test_a_calling_convention_that_is_not_known():
    with pytest.raises(TypeError, match=r"match\(\) has a calling convention that cannot be watched"):
        _core.before_call(re.compile("x").match, print)


def test_calls_of_many_threads_while_it_is_switched(watch):
    """A thread on its way through the callback is not disturbed when that is exchanged or taken away."""
    stop, failed = threading.Event(), []

    def call():
        while not stop.is_set():
            try:
                os.getpid()
            except BaseException as failure:
                failed.append(failure)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        _core.before_call(os.getpid, lambda: None)
        _core.before_call(os.getpid, None)
    stop.set()
    for thread in threads:
        thread.join()
    gc.collect()
    assert failed == []

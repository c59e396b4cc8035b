"""stray.py: what reaches the two hooks is recorded with a note, and the hooks come back."""

import contextlib
import sys
import threading
import weakref
from types import SimpleNamespace

import pytest

from ftcheck.stress import stray

pytestmark = pytest.mark.usefixtures("leaves_nothing_behind")


class Dying:
    def __del__(self):
        raise ValueError("in __del__")


def in_thread(target):
    thread = threading.Thread(target=target, name="a-name")
    thread.start()
    thread.join()


def raise_key():
    raise KeyError("k")


def test_an_exception_in_del_is_recorded_and_says_how_it_came():
    seen = []
    with stray.Hooks(seen.append):
        Dying()
    (exception,) = seen
    assert str(exception) == "in __del__"
    assert "Dying.__del__" in exception.__notes__[0]
    assert "(sys.unraisablehook)" in exception.__notes__[0]


def test_an_exception_that_ends_a_thread_is_recorded_with_its_name():
    seen = []
    with stray.Hooks(seen.append):
        in_thread(raise_key)
    (exception,) = seen
    assert isinstance(exception, KeyError)
    assert exception.__notes__ == ["not caught in thread 'a-name' (threading.excepthook)"]


def test_a_thread_may_end_itself():
    """SystemExit in a thread is silent in Python, too."""
    seen = []
    with stray.Hooks(seen.append):
        in_thread(sys.exit)
    assert seen == []


def test_the_hooks_come_back_even_if_the_block_raises():
    before = sys.unraisablehook, threading.excepthook
    with contextlib.suppress(KeyError), stray.Hooks([].append):
        assert sys.unraisablehook is not before[0]
        assert threading.excepthook is not before[1]
        raise KeyError
    assert (sys.unraisablehook, threading.excepthook) == before


def test_the_inner_of_two_collectors_gets_it():
    outer, inner = [], []
    with stray.Hooks(outer.append):
        with stray.Hooks(inner.append):
            Dying()
        in_thread(raise_key)
    assert [type(one) for one in inner] == [ValueError]
    assert [type(one) for one in outer] == [KeyError]


class Unshowable:
    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("subject", "shown"), [(Unshowable(), "<Unshowable>"), (None, "None")], ids=["broken repr", "no object"]
)
def test_a_hook_that_is_called_with_little_still_records(subject, shown):
    """exc_value and err_msg may be None, and the object may be unable to show itself (documentation of the hook)."""
    seen = []
    with stray.Hooks(seen.append):
        sys.unraisablehook(
            SimpleNamespace(exc_type=KeyError, exc_value=None, exc_traceback=None, err_msg=None, object=subject)
        )
    (exception,) = seen
    assert isinstance(exception, KeyError)
    assert shown in exception.__notes__[0]


def test_a_hook_of_a_thread_that_is_gone():
    seen = []
    with stray.Hooks(seen.append):
        threading.excepthook(SimpleNamespace(exc_type=KeyError, exc_value=None, exc_traceback=None, thread=None))
    assert "'unknown'" in seen[0].__notes__[0]


def test_the_dying_object_is_not_brought_back_to_life():
    """What is recorded names the object; keeping it would resurrect it."""
    seen = []
    with stray.Hooks(seen.append):
        dying = Dying()
        reference = weakref.ref(dying)
        del dying
    seen[0].__traceback__ = None
    assert reference() is None

"""Where the locks of a run were made: in its set-up, in the test, on its threads, and in what these call."""

import contextlib
import queue
import threading
import tracemalloc

import pytest

from ftcheck import _core, concurrently
from ftcheck.explore.control import Attempt, Log
from ftcheck.explore.log import Kind, Operation
from ftcheck.explore.scope import Scope

OLD = threading.Lock()
NAMES: dict[str, object] = {}


@contextlib.contextmanager
def set_up():
    NAMES["fixture"] = threading.Lock()
    yield


def program():
    NAMES["test"] = threading.RLock()
    NAMES["condition"] = threading.Condition()
    NAMES["queue"] = queue.Queue()

    def work():
        NAMES["thread"] = threading.Lock()
        for name in ("fixture", "test", "condition", "thread"):
            with NAMES[name]:
                pass
        NAMES["queue"].put(1)
        with OLD:
            pass

    concurrently(work, lambda: None)


def line_of(text):
    """The line of this file that ends so; there is one."""
    with open(__file__) as file:
        [number] = [number for number, line in enumerate(file, 1) if line.rstrip().endswith(text)]
    return number


@pytest.fixture
def entered(control):
    yield control(Scope([__file__]), around=set_up)
    NAMES.clear()


def lines(entered, log=Log.OPERATIONS | Log.VALUES):
    """For each lock that was taken, in this order: the line where it was made, or None."""
    entered.run(program, Attempt("plan", []), log)
    made = {lock: (code, offset) for lock, code, offset in _core.makers()}
    found = []
    for one in [Operation(*row) for row in _core.trace()[2]]:
        if one.kind == Kind.ACQUIRE:
            code, offset = made.get(one.object, (None, 0))
            found.append(code and next(line for begin, end, line in code.co_lines() if begin <= offset < end))
    return found


EXPECTED = (
    'NAMES["fixture"] = threading.Lock()',
    "threading.RLock()",
    "threading.Condition()",
    'NAMES["thread"] = threading.Lock()',
)


def test_each_is_known_but_the_old_one(entered):
    found = lines(entered)
    assert found[:4] == [line_of(text) for text in EXPECTED]
    assert found[4] == line_of("queue.Queue()")
    assert found[-1] is None


def test_where_nobody_asks_nothing_is_noted(entered):
    _core.follow_makers()  # nothing is left of an earlier run
    _core.forget_makers()
    assert lines(entered, Log.OPERATIONS) == [None] * len(lines(entered))


def test_a_tracer_that_was_there_is_called_as_well(entered):
    tracemalloc.start()
    try:
        assert lines(entered)[0] is not None
        assert tracemalloc.get_traced_memory()[0] > 0
    finally:
        tracemalloc.stop()


def test_a_set_up_that_fails_leaves_nothing_behind(control):
    @contextlib.contextmanager
    def failing():
        raise KeyError("the set-up")
        yield

    with pytest.raises(KeyError):
        control(Scope([__file__]), around=failing).run(program, Attempt("plan", []), Log.OPERATIONS | Log.VALUES)
    lock = threading.Lock()
    assert id(lock) not in {row[0] for row in _core.makers()}

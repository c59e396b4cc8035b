"""Objects of one address are told apart in the log; the tracer that tells of them is there only while there is a log."""

import ctypes
import threading
import tracemalloc

import pytest

from ftcheck import _core, concurrently
from ftcheck.explore.control import Attempt, Log

from .conftest import READ, WRITE

ADDRESS = (1 << 48) - 1
GET_TRACER = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(("PyRefTracer_GetTracer", ctypes.pythonapi))


def tracer():
    """The address of the interpreter's reference tracer; None where there is none."""
    return GET_TRACER(ctypes.byref(ctypes.c_void_p()))


def accesses():
    """(thread, object) of each access of the last run."""
    return [(row[0], row[4]) for row in _core.trace()[2] if row[2] in (READ, WRITE)]


def generations():
    """The objects of the last run's log that were at an address, for each address that had several."""
    found = {}
    for _, object in accesses():
        found.setdefault(object & ADDRESS, set()).add(object)
    return {address: objects for address, objects in found.items() if len(objects) > 1}


def three_lists_after_each_other():
    def work():
        for _ in range(3):
            counts = [0]  # a list that dies is kept by the interpreter, and is the next one that is made
            counts[0] += 1
            del counts

    concurrently(work, lambda: None)


def test_objects_of_one_address_are_told_apart(control):
    entered = control()
    for _ in range(3):
        entered.run(three_lists_after_each_other, Attempt("plan", []), Log.OPERATIONS)
        assert [len(objects) for objects in generations().values()] == [3]
        assert all(object >> 48 <= 2 for _, object in accesses()), "each log counts from 0"


def list_of_another_thread():
    items = [[0]]

    def use():
        for one in items:
            one[0] += 1

    def replace():
        items.clear()
        other = [0]
        other[0] += 1

    concurrently(use, replace)


def test_a_new_object_at_the_address_of_a_dead_one_does_not_meet_what_was_done_to_that(control):
    """Nothing orders what is done to the two lists. They are two."""
    entered = control()
    entered.run(list_of_another_thread, Attempt("plan", []), Log.OPERATIONS)
    (objects,) = generations().values()
    assert [{thread for thread, object in accesses() if object == one} for one in sorted(objects)] == [{1}, {2}]
    assert _core.races() == []


def test_threads_that_begin_where_others_have_ended_take_over_their_memory(control):
    """What an ended thread leaves is used by the next one: their objects are not one."""

    class Box:
        def __init__(self):
            self.value = 0

    def work():
        Box().value += 1

    def program():
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    entered = control()
    for seed in range(20):
        entered.run(program, Attempt("pos", None, seed), Log.OPERATIONS)
        assert _core.races() == []


@pytest.mark.parametrize("log", [Log.NOTHING, Log.SWITCHES, Log.DECISIONS])
def test_without_a_log_of_operations_nothing_is_traced(control, log):
    seen = []
    control().run(lambda: concurrently(lambda: seen.append(tracer()), lambda: None), Attempt("plan", []), log)
    assert seen == [None]
    assert tracer() is None


def test_with_one_the_tracer_goes_with_it(control):
    seen = []
    control().run(lambda: concurrently(lambda: seen.append(tracer()), lambda: None), Attempt("plan", []), Log.OPERATIONS)
    assert seen != [None]
    assert tracer() is None


def test_a_tracer_that_was_there_is_called_and_comes_back(control):
    if tracemalloc.is_tracing():
        pytest.skip("this run traces memory itself")
    entered = control()
    tracemalloc.start()
    try:
        before, kept = tracer(), []
        assert before is not None

        def program():
            concurrently(lambda: kept.append(object()), three_lists_after_each_other)

        entered.run(program, Attempt("plan", []), Log.OPERATIONS)
        assert tracer() == before
        assert tracemalloc.get_object_traceback(kept[0]) is not None
        assert generations()
    finally:
        tracemalloc.stop()


def test_a_tracer_that_comes_during_a_run_stays(control):
    if tracemalloc.is_tracing():
        pytest.skip("this run traces memory itself")
    entered = control()
    try:
        entered.run(lambda: concurrently(tracemalloc.start, lambda: None), Attempt("plan", []), Log.OPERATIONS)
        theirs = tracer()
        assert theirs is not None
        assert tracemalloc.is_tracing()
        entered.run(three_lists_after_each_other, Attempt("plan", []), Log.OPERATIONS)
        assert generations()
        assert tracer() == theirs
    finally:
        tracemalloc.stop()
    assert tracer() is None

"""The explorer where C code makes threads itself, and waits for conditions and barriers: all under its control."""

import re

import pytest

from tests.native.snippets import build, watched_here
from tests.native.test_explored import explored

pytestmark = watched_here

HEADS = "#include <pthread.h>\n#include <threads.h>\n#include <errno.h>\n#include <time.h>\n"
IN_A_THREAD = """
static long counter;
static void *add(void *nothing) { for (int i = 0; i < 2; i++) { counter++; } return NULL; }
void left(void)
{
    pthread_t other;
    counter = 0;
    pthread_create(&other, NULL, add, NULL);
    EARLY
    pthread_join(other, NULL);
    LATE
    if (counter != 4) { PyErr_Format(PyExc_AssertionError, "%ld", counter); }
}
void right(void) { }
"""
C11 = """
static long counter;
static int add(void *nothing) { for (int i = 0; i < 2; i++) { counter++; } return 3; }
void left(void)
{
    thrd_t other;
    int result;
    counter = 0;
    thrd_create(&other, add, NULL);
    EARLY
    thrd_join(other, &result);
    LATE
    if (counter != 4 || result != 3) { PyErr_Format(PyExc_AssertionError, "%ld", counter); }
}
void right(void) { }
"""
CXX = """
#include <thread>
static long counter;
static void add(int count) { for (int i = 0; i < count; i++) { counter++; } }
static void left(void)
{
    counter = 0;
    std::thread other{add, 2};
    EARLY
    other.join();
    LATE
    if (counter != 4) { PyErr_Format(PyExc_AssertionError, "%ld", counter); }
}
static void right(void) { }
"""
EXITS = IN_A_THREAD.replace("return NULL;", "pthread_exit(NULL);")
MINE = "counter++; counter++;"
MAKERS = {
    "pthread_create": (IN_A_THREAD, ".c"),
    "thrd_create": (C11, ".c"),
    "std_thread": (CXX, ".cpp"),
    "pthread_exit": (EXITS, ".c"),
}
CONDITION = """
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER;
static long ready;
void left(void)
{
    pthread_mutex_lock(&mutex);
    WAIT
    ready = 0;
    pthread_mutex_unlock(&mutex);
}
void right(void)
{
    pthread_mutex_lock(&mutex);
    ready = 1;
    SIGNAL
    pthread_mutex_unlock(&mutex);
}
"""
LOOP = "while (!ready) { pthread_cond_wait(&filled, &mutex); }"
ONCE = "pthread_cond_wait(&filled, &mutex);"
TIMED = """
    struct timespec when;
    clock_gettime(CLOCK_REALTIME, &when);
    when.tv_sec += 100;
    int late = 0;
    while (!ready && late == 0) { late = pthread_cond_timedwait(&filled, &mutex, &when); }
    if (late != 0 && late != ETIMEDOUT) { __builtin_trap(); }
"""
CXX_CONDITION = """
#include <condition_variable>
#include <mutex>
static std::mutex mutex;
static std::condition_variable filled;
static long ready;
static void left(void)
{
    std::unique_lock<std::mutex> lock{mutex};
    filled.wait(lock, [] { return ready != 0; });
    ready = 0;
}
static void right(void)
{
    std::unique_lock<std::mutex> lock{mutex};
    ready = 1;
    SIGNAL
}
"""
BARRIER = """
static pthread_barrier_t all;
static long cells[2], last;
static void meet(int me)
{
    BEFORE
    int result = pthread_barrier_wait(&all);
    if (cells[!me] != 7) { PyErr_SetString(PyExc_AssertionError, "early"); }
    if (result == PTHREAD_BARRIER_SERIAL_THREAD) { last++; }
    pthread_barrier_wait(&all);
    cells[me] = 0;
    if (last != 1) { PyErr_SetString(PyExc_AssertionError, "one of them is the last"); }
}
void left(void) { meet(0); }
void right(void) { meet(1); }
#define MORE {"ready", call_ready, METH_NOARGS, NULL},
static PyObject *call_ready(PyObject *module, PyObject *none)
{ pthread_barrier_init(&all, NULL, 2); cells[0] = cells[1] = last = 0; Py_RETURN_NONE; }
"""
BOTH = "ftcheck.concurrently(snippet.left, snippet.right)"
ALONE = "snippet.left()"
READY = f"snippet.ready(); {BOTH}"


def verdict_of(folder, source, body, suffix=".c"):
    build(folder, (HEADS if suffix == ".c" else "") + source, suffix=suffix)
    report, text = explored(folder, body)
    return report, text


@pytest.mark.parametrize("maker", MAKERS)
def test_threads_that_c_code_makes_are_threads_of_the_run(tmp_path, maker):
    source, suffix = MAKERS[maker]
    report, text = verdict_of(tmp_path, source.replace("EARLY", MINE).replace("LATE", ""), ALONE, suffix)
    (finding,) = report["findings"]
    assert finding["verdict"] in ("failure", "data race"), text
    assert int(re.search(r"\(schedule (\d+)", finding["headline"])[1]) <= 20
    assert re.search(r" thread 1 +\u2502", text) or "thread 1" in text
    for _ in range(3):
        again, text = explored(tmp_path, ALONE, f"--ftcheck-replay={finding['replay']}")
        (same,) = again["findings"]
        assert same["headline"].endswith("(replayed)"), text


@pytest.mark.parametrize("maker", MAKERS)
def test_to_join_a_thread_orders(tmp_path, maker):
    source, suffix = MAKERS[maker]
    report, text = verdict_of(tmp_path, source.replace("EARLY", "").replace("LATE", MINE), ALONE, suffix)
    assert [test["verdict"] for test in report["tests"]] == ["passed"], text
    assert report["tests"][0]["coverage"]["interleavings"]["uncontrolled"] == 0, text


@pytest.mark.parametrize(
    ("source", "suffix"),
    [
        (CONDITION.replace("WAIT", LOOP).replace("SIGNAL", "pthread_cond_signal(&filled);"), ".c"),
        (CONDITION.replace("WAIT", LOOP).replace("SIGNAL", "pthread_cond_broadcast(&filled);"), ".c"),
        (CONDITION.replace("WAIT", TIMED).replace("SIGNAL", ""), ".c"),
        (CXX_CONDITION.replace("SIGNAL", "filled.notify_one();"), ".cpp"),
    ],
    ids=["signal", "broadcast", "timeout", "notify_one"],
)
def test_who_waits_for_a_condition_is_woken(tmp_path, source, suffix):
    report, text = verdict_of(tmp_path, source, BOTH, suffix)
    assert [test["verdict"] for test in report["tests"]] == ["passed"], text
    assert report["tests"][0]["coverage"]["interleavings"]["uncontrolled"] == 0, text


@pytest.mark.parametrize(
    ("source", "suffix"),
    [
        (CONDITION.replace("WAIT", ONCE).replace("SIGNAL", "pthread_cond_signal(&filled);"), ".c"),
        (CONDITION.replace("WAIT", LOOP).replace("SIGNAL", ""), ".c"),
        (CXX_CONDITION.replace("SIGNAL", ""), ".cpp"),
    ],
    ids=["signal_before_wait", "no_signal", "no_notify"],
)
def test_who_waits_for_a_signal_that_does_not_come_is_in_a_deadlock(tmp_path, source, suffix):
    report, text = verdict_of(tmp_path, source, BOTH, suffix)
    (finding,) = report["findings"]
    assert finding["verdict"] == "deadlock", text
    assert "waits for filled" in text
    again, text = explored(tmp_path, BOTH, f"--ftcheck-replay={finding['replay']}")
    assert [one["verdict"] for one in again["findings"]] == ["deadlock"], text


def test_a_barrier_lets_all_go_on_when_the_last_one_has_come(tmp_path):
    report, text = verdict_of(tmp_path, BARRIER.replace("BEFORE", "cells[me] = 7;"), READY)
    assert [test["verdict"] for test in report["tests"]] == ["passed"], text
    assert report["tests"][0]["coverage"]["interleavings"]["uncontrolled"] == 0, text


def test_what_comes_behind_the_barrier_is_too_late(tmp_path):
    """The body of the thread is a builtin, so what it raises has no traceback."""
    early, late = (
        "if (me == 1) { cells[me] = 7; }",
        "int result = pthread_barrier_wait(&all); if (me == 0) { cells[0] = 7; }",
    )
    source = BARRIER.replace("BEFORE", early).replace("int result = pthread_barrier_wait(&all);", late)
    report, text = verdict_of(tmp_path, source, READY)
    (finding,) = report["findings"]
    assert finding["verdict"] in ("failure", "data race"), text
    assert "AssertionError: early" in text

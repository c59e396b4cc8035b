"""The explorer within extensions: what it finds in C code, what it does not accuse, and whether it comes back.

Nothing here depends on timing: one thread runs at a time, and who that is the seed decides.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ftcheck
from tests.native.snippets import build, watched_here

pytestmark = watched_here

COUNTER = """
static long counter;
void left(void) { counter++; }
void right(void) { counter++; }
"""
FIELDS = """
static struct { int a, b; } pair;
void left(void) { pair.a++; }
void right(void) { pair.b++; }
"""
MUTEX = """
static long counter;
static PyMutex mutex;
static void add(void) { PyMutex_Lock(&mutex); counter++; PyMutex_Unlock(&mutex); }
void left(void) { add(); add(); }
void right(void) { add(); add(); }
"""
PTHREAD = """
#include <pthread.h>
static long counter;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static void add(void) { pthread_mutex_lock(&mutex); counter++; pthread_mutex_unlock(&mutex); }
void left(void) { add(); }
void right(void) { Py_BEGIN_ALLOW_THREADS add(); Py_END_ALLOW_THREADS }
"""
READERS = """
#include <pthread.h>
static long counter, seen;
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
void left(void) { pthread_rwlock_wrlock(&lock); counter++; pthread_rwlock_unlock(&lock); }
void right(void) { pthread_rwlock_rdlock(&lock); long now = counter; pthread_rwlock_unlock(&lock); (void)now; }
"""
ORDER = """
static long here, there;
static PyMutex first, second;
static void both(PyMutex *a, PyMutex *b)
{ PyMutex_Lock(a); here++; PyMutex_Lock(b); there++; PyMutex_Unlock(b); PyMutex_Unlock(a); }
void left(void) { both(&first, &second); }
void right(void) { both(&second, &first); }
"""
SPINNING = """
#include <stdatomic.h>
static long value;
static atomic_int ready;
void left(void) { value = 1; atomic_store_explicit(&ready, 1, memory_order_release); }
void right(void)
{
    while (!atomic_load_explicit(&ready, memory_order_acquire)) { }
    if (value != 1) { __builtin_trap(); }
    atomic_store(&ready, 0);
}
"""
FENCES = """
#include <stdatomic.h>
static long values[2];
static atomic_int ready;
void left(void)
{
    for (int i = 0; i < 2; i++) {
        values[i] = 1;
        atomic_thread_fence(memory_order_release);
        atomic_store_explicit(&ready, i + 1, memory_order_relaxed);
    }
}
void right(void)
{
    for (int i = 0; i < 2; i++) {
        while (atomic_load_explicit(&ready, memory_order_relaxed) <= i) { }
        atomic_thread_fence(memory_order_acquire);
        if (values[i] != 1) { __builtin_trap(); }
    }
    atomic_store(&ready, 0);
}
"""
UNFENCED = FENCES.replace("atomic_thread_fence(memory_order_release);", "")
SECTIONS = """
static long counter;
static PyObject *object(void)
{ static PyObject *one; if (one == NULL) { one = PyList_New(0); } return one; }
static void add(void)
{ Py_BEGIN_CRITICAL_SECTION(object()); counter++; counter++; Py_END_CRITICAL_SECTION(); }
void left(void) { add(); }
void right(void) { add(); }
#define MORE {"ready", call_ready, METH_NOARGS, NULL},
static PyObject *call_ready(PyObject *module, PyObject *none) { object(); Py_RETURN_NONE; }
"""
DICT = """
static PyObject *counts(void)
{
    static PyObject *one;
    if (one == NULL) { one = PyDict_New(); PyDict_SetItemString(one, "x", PyLong_FromLong(0)); }
    return one;
}
static void add(void)
{
    PyObject *now = PyDict_GetItemString(counts(), "x"), *next = PyLong_FromLong(PyLong_AsLong(now) + 1);
    PyDict_SetItemString(counts(), "x", next);
    Py_DECREF(next);
}
void left(void) { add(); }
void right(void) { add(); }
#define MORE {"ready", call_ready, METH_NOARGS, NULL}, {"count", call_count, METH_NOARGS, NULL},
static PyObject *call_ready(PyObject *module, PyObject *none) { counts(); Py_RETURN_NONE; }
static PyObject *call_count(PyObject *module, PyObject *none) { return Py_NewRef(PyDict_GetItemString(counts(), "x")); }
"""
PLAIN = "ftcheck.concurrently(snippet.left, snippet.right)"
READY = f"snippet.ready(); {PLAIN}"
COUNTED = f"snippet.ready(); before = snippet.count(); {PLAIN}; assert snippet.count() == before + 2"


def explored(folder, body, *options):
    """What ``pytest --ftcheck`` says of a test with this body, in a process of its own."""
    (Path(folder) / "pytest.ini").write_text("[pytest]\n")
    (Path(folder) / "test_it.py").write_text(
        f"import pytest, ftcheck, snippet\n\n@pytest.mark.ftcheck(explore=True)\ndef test_it():\n    {body}\n"
    )
    words = ["-n0", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "--ftcheck", "--ftcheck-json=report.json", *options]
    path = os.pathsep.join([str(Path(ftcheck.__file__).parents[1]), str(folder)])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=folder, env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    report = Path(folder) / "report.json"
    assert report.exists(), done.stdout + done.stderr
    content = json.loads(report.read_text())
    report.unlink()
    return content, done.stdout


PTHREAD_ORDER = """
#include <pthread.h>
static long here;
static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER, second = PTHREAD_MUTEX_INITIALIZER;
static void both(pthread_mutex_t *a, pthread_mutex_t *b)
{ pthread_mutex_lock(a); pthread_mutex_lock(b); here++; pthread_mutex_unlock(b); pthread_mutex_unlock(a); }
void left(void) { both(&first, &second); }
void right(void) { both(&second, &first); }
"""


@pytest.mark.parametrize("source", [ORDER, PTHREAD_ORDER], ids=["PyMutex", "pthread_mutex"])
def test_a_deadlock_says_who_holds_which_lock_of_c_code(tmp_path, source):
    build(tmp_path, source)
    _, text = explored(tmp_path, PLAIN)
    said = [" ".join(line.split()) for line in text.splitlines()]
    begin = said.index("deadlock: threads 1 and 2 wait for each other")
    code = (tmp_path / "snippet.c").read_text().splitlines()
    line = next(number for number, text in enumerate(code, 1) if re.search(r"[lL]ock\(a\)", text))
    at = f"snippet.c:{line} in both"
    assert said[begin + 1 : begin + 5] == [
        f"thread 1 holds first, taken at {at}",
        f"waits for second, held by thread 2, at {at}",
        f"thread 2 holds second, taken at {at}",
        f"waits for first, held by thread 1, at {at}",
    ]


def test_an_exchange_that_finds_another_value_has_read_it(tmp_path):
    """PyMutex_Lock() tries to exchange the mutex' byte, where it is taken already."""
    build(tmp_path, ORDER)
    _, text = explored(tmp_path, PLAIN)
    assert {"first = 1", "second = 1"} == set(re.findall(r"(?:first|second) = 1", text))
    assert re.search(r"(?:first|second) → 1", text)


@pytest.mark.parametrize(
    ("source", "body", "verdict"),
    [
        (COUNTER, PLAIN, "data race"),
        (ORDER, PLAIN, "deadlock"),
        (DICT, COUNTED, "failure"),
        (UNFENCED, PLAIN, "data race"),
    ],
    ids=["counter", "lock_order", "dict", "unfenced"],
)
def test_found_and_found_again(tmp_path, source, body, verdict):
    build(tmp_path, source)
    report, text = explored(tmp_path, body)
    (finding,) = report["findings"]
    assert finding["verdict"] == verdict, text
    assert int(re.search(r"\(schedule (\d+)", finding["headline"])[1]) <= 20
    assert "1 preemption" in finding["headline"]
    for hash_seed in range(3):
        os.environ["PYTHONHASHSEED"] = str(hash_seed)
        try:
            again, text = explored(tmp_path, body, f"--ftcheck-replay={finding['replay']}")
        finally:
            del os.environ["PYTHONHASHSEED"]
        (same,) = again["findings"]
        assert same["verdict"] == verdict, text
        assert same["headline"].endswith("(replayed)"), text


def test_a_race_is_told_step_by_step(tmp_path):
    build(tmp_path, COUNTER)
    report, text = explored(tmp_path, PLAIN)
    (finding,) = report["findings"]
    assert re.search(r"data race: (read|write) of counter at snippet\.c:\d+ \((left|right)\)", finding["headline"])
    assert re.search(r"counter (→|=) \d+", finding["detail"])
    assert re.search(r"thread 1 +│ thread 2", finding["detail"])
    assert finding["coverage"]["watched"] == ["within 1 extension, too"]
    assert re.search(r"  thread [12]: (read|write)\n", finding["detail"])
    assert text.count("a thread: ") == 0


@pytest.mark.parametrize(
    ("source", "body"),
    [
        (FIELDS, PLAIN),
        (MUTEX, PLAIN),
        (PTHREAD, PLAIN),
        (READERS, PLAIN),
        (SPINNING, PLAIN),
        (FENCES, PLAIN),
        (SECTIONS, READY),
    ],
    ids=["fields", "mutex", "pthread", "readers", "spinning", "fences", "sections"],
)
def test_what_is_ordered_is_not_accused(tmp_path, source, body):
    build(tmp_path, source)
    report, text = explored(tmp_path, body)
    assert [test["verdict"] for test in report["tests"]] == ["passed"], text
    coverage = report["tests"][0]["coverage"]
    assert coverage["interleavings"]["uncontrolled"] == 0, text
    assert coverage["watched"] == ["within 1 extension, too"]
    assert not coverage["interleavings"]["complete"]  # not all of what C code does is seen


def test_a_token_of_another_build_is_refused(tmp_path):
    build(tmp_path, COUNTER)
    report, _ = explored(tmp_path, PLAIN)
    token = report["findings"][0]["replay"]
    build(tmp_path, COUNTER.replace("counter++", "counter += 2"))
    again, text = explored(tmp_path, PLAIN, f"--ftcheck-replay={token}")
    assert [one["verdict"] for one in again["findings"]] == ["error"], text
    assert "the code under test has changed" in text

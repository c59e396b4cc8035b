"""Threads are held, so that a race shows that can happen once in a round."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from tests.native.snippets import COMPILERS, build, watched_here

pytestmark = watched_here

ROUNDS = 80
"""Every other one holds one of the two threads, where it first comes or, as often, at one of a few places. In the first of
these it is found: so the probability that it is not, is below 2 ** -40."""
ONCE = """
static PyObject *volatile made;
static PyObject *make(void)
{
    PyObject *list = PyList_New(0);
    for (int i = 0; list != NULL && i < 200; i++) { PyList_Append(list, Py_None); }
    return list;
}
static void once(void) { if (made == NULL) { made = make(); } }
static void left(void) { once(); }
static void right(void) { once(); }
#define MORE {"forget", call_forget, METH_NOARGS, NULL},
static PyObject *call_forget(PyObject *module, PyObject *none)
{ PyObject *old = made; made = NULL; Py_XDECREF(old); Py_RETURN_NONE; }
"""
TEST = f"""
import ftcheck, pytest, snippet

@pytest.mark.ftcheck(rounds={ROUNDS})
def test_it():
    snippet.forget()
    ftcheck.concurrently(snippet.left, snippet.right)
"""


def report_of(tmp_path, test):
    """What a run of this test says, in a folder with a snippet."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(test)
    words = ["-n0", "-q", "-p", "no:cacheprovider", "--ftcheck", "--ftcheck-seed=1", "--ftcheck-json=report.json"]
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path},
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    return json.loads((tmp_path / "report.json").read_text())


@pytest.mark.parametrize("cc", COMPILERS)
def test_what_is_made_once_a_round_is_made_twice(tmp_path, cc):
    build(tmp_path, ONCE, cc=cc)
    report = report_of(tmp_path, TEST)
    assert [one["verdict"] for one in report["findings"]] == ["data race"], report
    assert "data race of made" in report["findings"][0]["detail"]
    assert "  a thread: " not in report["findings"][0]["detail"]  # each knows who it is, in each round


LONG = ONCE.replace(
    "for (int i = 0; list != NULL && i < 200; i++) { PyList_Append(list, Py_None); }",
    "for (long i = 0; list != NULL && i < 20000; i++) {"
    ' PyObject *text = PyUnicode_FromFormat("%ld", i); PyList_Append(list, text); Py_DECREF(text); }',
)


def test_who_takes_memory_before_its_round_begins_has_its_name_in_it(tmp_path):
    """A thread may be watched before it is anybody in the run; two that are not told apart are slow together, or fast."""
    build(tmp_path, LONG)
    detail = report_of(tmp_path, TEST.replace(str(ROUNDS), "10"))["findings"][0]["detail"]
    assert "data race of made" in detail
    assert "  a thread: " not in detail


RUNNABLE = """
import threading, time
from ftcheck import _core

def until(expected):
    while _core.native_runnable() is not expected:
        time.sleep(0.001)

until(False)                       # this thread does not count
lock, stop = threading.Lock(), False
lock.acquire()
waits = threading.Thread(target=lock.acquire)
waits.start()
until(False)                       # who waits for a lock cannot run
spins = threading.Thread(target=lambda: [None for _ in iter(lambda: stop, True)], name="has (a) R name) R")
spins.start()
until(True)
stop = True
spins.join()
until(False)
lock.release()
waits.join()
print("all of them")
"""


def test_who_waits_for_a_cpu_is_told_from_who_waits_for_something_else():
    """In a process of its own, which has no threads but these. Where the answer stays wrong, the time runs out."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(RUNNABLE)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "all of them\n", done.stderr

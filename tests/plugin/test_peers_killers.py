"""What ends other tools' sessions, or gets past them: extensions, crashes and deadlocks (see ``test_peers_defects.py``).

What was seen there, with CPython 3.14t:

================================  ======================================================================================
an import turns the GIL on        pytest-run-parallel ends the session, the tests after it are not run; with ``-n 2`` it is
                                  an INTERNALERROR without a cause; with ``-W error``, ``-W ignore`` or one thread it does
                                  not notice. pytest-freethreaded looks only once, before the first test.
a segmentation fault              pytest-run-parallel: no further test, no JUnit file. pytest-xdist: "failed on setup with
                                  worker crashed", without the signal, without a stack. A file that dies on import makes
                                  pytest-xdist replace workers until it gives up.
two locks in opposite order       pytest-run-parallel: hangs for ever. With pytest-timeout: the process does not end for the
                                  threads that are left (signal), or no summary, no JUnit file, no further test (thread);
                                  with ``-n 2`` it is called a crash.
``-n 2``                          pytest-run-parallel: always "All tests were run in parallel!", also where one was not.
an unlocked counter in C          pytest-run-parallel: passed, up to millions of increments in each thread.
================================  ======================================================================================
"""

import sysconfig

import pytest

pytestmark = pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="needs a free-threaded build: here the GIL is always on"
)

NEEDS_GIL = """
#include <Python.h>
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "needs_gil", NULL, 0, NULL, NULL};
PyMODINIT_FUNC PyInit_needs_gil(void) { return PyModuleDef_Init(&module); }
"""

COUNTER = """
#include <Python.h>
static volatile long counter;
static PyObject *reset(PyObject *self, PyObject *none) { counter = 0; Py_RETURN_NONE; }
static PyObject *value(PyObject *self, PyObject *none) { return PyLong_FromLong(counter); }
static PyObject *add(PyObject *self, PyObject *times)
{
    for (long n = PyLong_AsLong(times); n > 0; n--) { counter++; }
    Py_RETURN_NONE;
}
static PyMethodDef methods[] = {{"reset", reset, METH_NOARGS}, {"value", value, METH_NOARGS}, {"add", add, METH_O}, {NULL}};
static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "racy_counter", NULL, 0, methods, slots};
PyMODINIT_FUNC PyInit_racy_counter(void) { return PyModuleDef_Init(&module); }
"""

KILLERS = """
import ctypes, sys, threading, time
import ftcheck, pytest
from meeting import meet

first, second = threading.Lock(), threading.Lock()

def test_a_before(): meet()

def test_import_in_a_thread():
    meet()
    import needs_gil

@pytest.mark.thread_unsafe(reason="one thread")
def test_import_in_one_thread(): import needs_gil

def test_after_import():
    meet()
    assert not sys._is_gil_enabled()

def reads_null(): ctypes.string_at(0)

def the_other_waits(ready):
    ready.set()
    threading.Event().wait(100)

ready = threading.Event()

def test_segfault():
    if meet() == 0:
        ready.wait(100)
        reads_null()
    the_other_waits(ready)

def locks(one, other):
    with one:
        meet("locked")
        with other: pass

def test_deadlock():
    if meet() == 0: locks(first, second)
    else: locks(second, first)

@pytest.mark.ftcheck(timeout=4)
def test_hang(request):
    if meet() == 0:
        while True: time.sleep(0.01)

def test_leaves_a_thread(request):
    if meet() == 0: threading.Thread(target=threading.Event().wait).start()

def test_exits(request):
    if meet() == 0: sys.exit(3)

def test_monkeypatch(monkeypatch): pass
def test_fails(): assert meet() is None
def test_z_after(): meet()
"""
COUNTS = """
import pytest
from ftcheck import concurrently
import racy_counter

@pytest.mark.ftcheck(threads=2, rounds=300)
def test_counter():
    racy_counter.reset()
    concurrently(lambda: racy_counter.add(5_000_000), threads=2)
    assert racy_counter.value() == 2 * 5_000_000
"""
FILES = {
    "test_a_killers.py": KILLERS,
    "test_b_dies_on_import.py": "import ctypes\nctypes.string_at(0)\ndef test_never(): pass\n",
    "test_c_counts.py": COUNTS,
    "test_d_last.py": "from meeting import meet\ndef test_last(): meet()\n",
}
EXPECTED = {
    "test_a_before": "passed",
    "test_import_in_a_thread": "GIL re-enabled",
    "test_import_in_one_thread": "GIL re-enabled",
    "test_after_import": "passed",
    "test_segfault": "crash",
    "test_deadlock": "deadlock",
    "test_hang": "hang",
    "test_leaves_a_thread": "passed",
    "test_exits": "failure",
    "test_monkeypatch": "not checked",
    "test_fails": "failure",
    "test_z_after": "passed",
    "test_counter": "failure",
    "test_last": "passed",
}
FINDINGS = [name for name, verdict in EXPECTED.items() if verdict not in ("passed", "not checked")]
IMPORTS = ("test_import_in_a_thread", "test_import_in_one_thread")
ARGUMENTS = ("--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=3", "--ftcheck-timeout=120")
WAYS = {
    "one worker": ("-Wignore",),
    "two workers": ("-n2", "-Werror"),
    "timeout by signal": ("-p", "timeout", "--timeout=60", "--timeout-method=signal"),
    "timeout by thread": ("-n2", "-p", "timeout", "--timeout=60", "--timeout-method=thread"),
}


@pytest.fixture(scope="module")
def extensions(compile_c):
    """An ini file by which the two extensions can be imported."""
    compile_c("needs_gil", NEEDS_GIL)
    folder = compile_c("racy_counter", COUNTER).parent
    markers = "markers =\n    thread_unsafe: not in threads\n"
    return {"pytest.ini": f"[pytest]\npythonpath = . {folder}\n{markers}"}


@pytest.fixture(scope="module", params=WAYS)
def run(request, mini, extensions):
    """All of them in one run, started in several ways."""
    arguments = WAYS[request.param]
    if "timeout" in arguments:
        pytest.importorskip("pytest_timeout")
    run = mini(extensions | FILES, *ARGUMENTS, *arguments, PYTHON_GIL=None)
    run.expected = dict(EXPECTED)
    if "-Werror" in arguments:  # the import has raised: that is worse than the GIL, which is a second finding then
        run.expected |= dict.fromkeys(IMPORTS, "failure")
    return run


def test_run_ends_and_is_complete(run):
    """By itself, in order, with one verdict and one JUnit case for each test and for the file that cannot be imported."""
    assert run.status == 1, run
    assert "INTERNALERROR" not in run.out + run.err
    assert {name.rpartition("::")[2]: verdict for name, verdict in run.verdicts().items()} == run.expected
    names = [str(case.get("name")) for case in run.junit.iter("testcase")]
    assert sorted(names) == sorted([*EXPECTED, "test_b_dies_on_import"])
    assert run.junit_outcome("test_b_dies_on_import") == ["error"]
    assert [(finding["verdict"], finding["tests"]) for finding in run.general] == [("crash", ["test_b_dies_on_import.py"])]


@pytest.mark.parametrize("name", FINDINGS)
def test_finding_says_what_it_is(run, name):
    """In the JUnit file a failure of the call, with the same verdict; and the headline of what is not pytest's own text."""
    assert run.outcomes(name)["call"] == "failed"
    assert run.junit_outcome(name) == ["failure"]
    assert run.junit_properties(name)["ftcheck_verdict"] == run.expected[name]
    finding = run.test(name)["findings"][0]
    failure = run.junit_case(name).find("failure")
    assert finding["verdict"] == run.expected[name]
    assert finding["headline"] in f"{failure.get('message')} {failure.text}"


@pytest.mark.parametrize("name", IMPORTS)
def test_import_is_blamed(run, name):
    """On the module and the line, whatever becomes of the warning."""
    finding = run.test(name)["findings"][-1]
    assert finding["verdict"] == "GIL re-enabled"
    assert "'needs_gil'" in finding["headline"]
    assert "test_a_killers.py:" in finding["headline"]


def test_crash_shows_signal_and_stacks(run):
    """The signal, its place in the test, and what the other thread was doing."""
    finding = run.finding("test_segfault")
    assert "SIGSEGV at address 0x0 in round 1" in finding["headline"]
    assert "in reads_null" in finding["detail"]
    assert "in the_other_waits" in finding["detail"]


def test_deadlock_shows_both_threads(run):
    """Called what it is, before any timeout."""
    finding = run.finding("test_deadlock")
    assert "every thread waits for a lock" in finding["headline"]
    assert finding["detail"].count("in locks") >= 2


def test_lost_increments_are_found(run):
    """A round failed in 4 of 5 cases on two busy CPUs, in 1 of 10 on one: all of 300 pass with a probability of 1e-13."""
    assert "AssertionError" in run.groups("test_counter")


def test_summary_tells_the_truth(run):
    """What ran alone is listed with its reason; nothing is said of all tests."""
    run.lines.fnmatch_lines(["concurrent: 12 of 14 tests (85%)", "not checked, because:", "*1  uses monkeypatch, which *"])
    assert "All tests were run in parallel" not in run.out


BY_THE_MODULE = "try: import needs_gil\nexcept Warning: pass\n"


@pytest.mark.parametrize("filter_", ["ignore", "error"])
@pytest.mark.parametrize(("options", "imports", "verdict"), [
    (("-p", "needs_gil"), "", "not checked"),
    ((), BY_THE_MODULE, "GIL re-enabled"),
], ids=["plugin", "module"])  # fmt: skip
def test_import_before_the_first_test(mini, extensions, options, imports, verdict, filter_):
    """By `-p`, or on import of a test file: nothing is called passed with the GIL on, however the warning is treated."""
    files = extensions | {"test_it.py": f"{imports}from meeting import meet\ndef test_it(): meet()\n"}
    run = mini(files, *ARGUMENTS, *options, f"-W{filter_}", PYTHON_GIL=None)
    if options and filter_ == "error":  # it cannot be loaded, which ends pytest itself
        assert run.status == 3
        assert 'Error while loading plugin "needs_gil"' in run.err
        return
    assert run.status == 1, run
    assert run.verdict("test_it") == verdict
    assert "'needs_gil'" in run.out


def test_pytest_run_parallel_does_not_notice(mini, extensions):
    """Green with the GIL on, and said to have run in parallel, one test of which it never runs so."""
    pytest.importorskip("pytest_run_parallel")
    body = "def test_imports(): import needs_gil\ndef test_alone(monkeypatch): pass\n"
    loaded = ("-p", "xdist", "-p", "run-parallel", "-p", "no:ftcheck", "-n2", "-Werror", "--parallel-threads=4")
    run = mini(extensions | {"test_it.py": body}, *loaded, plugins=True, classify=True,
               PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTHON_GIL=None)  # fmt: skip
    update = "pytest-run-parallel has changed: update the table above, and the comparison in the README"
    assert run.status == 0, update
    assert run.outcomes("test_imports")["call"] == run.outcomes("test_alone")["call"] == "passed", update
    assert "All tests were run in parallel" in run.out, update

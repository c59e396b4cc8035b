"""What happens when a worker's tests are done: the end of its session, its exit handlers, the interpreter's exit.

Six workers in one run, each of which ends in another way; and threads and processes that outlive their tests.
"""

import os
import signal

import pytest

from .leftovers import left_behind

MODULE = r"""
#include <Python.h>
static void free_module(void *module) { (void)module; *(volatile int *)0 = 1; }
static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};
static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "dies_when_freed", .m_slots = slots, .m_free = free_module,
};
PyMODINIT_FUNC PyInit_dies_when_freed(void) { return PyModuleDef_Init(&definition); }
"""

FILES = {
    "conftest.py": """
        import atexit, concurrent.futures, ctypes, os, sys, threading, time
        import pytest

        def crash(): ctypes.string_at(0)
        def hang():
            while True: time.sleep(0.05)

        worker = os.environ.get("PYTEST_XDIST_WORKER")
        if worker == "gw0": atexit.register(crash)
        if worker == "gw1": atexit.register(hang)
        if worker == "gw2": atexit.register(os._exit, 3)
        if worker == "gw3":
            sys.path.append(os.environ["MODULES"])
            import dies_when_freed
        if worker == "gw4":
            threading.Thread(target=hang).start()
            concurrent.futures.ThreadPoolExecutor(1).submit(hang)

        def pytest_sessionfinish():
            if worker == "gw5": crash()
    """,
    "test_mini.py": """
        import pytest
        from meeting import meet

        @pytest.mark.parametrize("number", range(12))
        def test_fine(number): meet(number)
    """,
}
ENDS = {
    "gw0": ("crash", "exit", "SIGSEGV at address 0x0 at the interpreter's exit"),
    "gw1": ("hang", "exit", "not over in time at the interpreter's exit"),
    "gw2": ("crash", "exit", "the process exited with status 3 at the interpreter's exit"),
    "gw3": ("crash", "exit", "SIGSEGV at address 0x0 at the interpreter's exit"),
    "gw5": ("crash", "finish", "SIGSEGV at address 0x0 at the end of the session"),
}
ARGUMENTS = ("--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=2", "--ftcheck-timeout=8")


@pytest.fixture(scope="module")
def run(mini, compile_c):
    """Six workers, six ends."""
    folder = compile_c("dies_when_freed", MODULE).parent
    return mini(FILES, *ARGUMENTS, "-n6", MODULES=str(folder))


def test_the_run_fails(run):
    """All tests have passed, and the exit status is 1 all the same."""
    assert set(run.verdicts().values()) == {"passed"}
    assert len(run.verdicts()) == 12
    assert run.status == 1
    run.lines.no_fnmatch_line("*INTERNALERROR*")
    run.lines.no_fnmatch_line("*restarting disabled*")
    run.lines.no_fnmatch_line("*takes over*")
    run.lines.fnmatch_lines(["*12 passed, 5 errors in *"])


def test_nothing_else_is_found(run):
    """The worker in which threads of tests were still running (gw4) has ended, and that is no finding."""
    assert sorted(finding["tests"][0] for finding in run.general) == [f"(exit of worker {worker})" for worker in ENDS]


@pytest.mark.parametrize("worker", ENDS)
def test_finding(run, worker):
    """A finding of its own, in the report, on the terminal and in the JUnit file."""
    verdict, phase, headline = ENDS[worker]
    name = f"(exit of worker {worker})"
    [finding] = [one for one in run.general if one["tests"] == [name]]
    assert (finding["verdict"], finding["phase"], finding["headline"]) == (verdict, phase, headline)
    assert finding["detail"].startswith(f"after the last test in worker {worker}: test_mini.py::test_fine[")
    assert run.junit_outcome(name) == ["error"]
    assert headline in run.junit_case(name).find("error").get("message")
    run.lines.fnmatch_lines_random([f"*ERROR at exit of worker {worker} *", f"{verdict}: {headline}"])


def test_stacks(run):
    """Where it was."""
    detail = {finding["tests"][0]: finding["detail"] for finding in run.general}
    assert "in crash" in detail["(exit of worker gw0)"]
    assert "in hang" in detail["(exit of worker gw1)"]
    assert "free_module" in detail["(exit of worker gw3)"] or "dies_when_freed" in detail["(exit of worker gw3)"]
    assert "pytest_sessionfinish" in detail["(exit of worker gw5)"]


def test_not_looked_for_by_last_failed(mini, tmp_path):
    """--lf knows tests only."""
    files = {
        "conftest.py": "import atexit, os\nif 'PYTEST_XDIST_WORKER' in os.environ: atexit.register(os.abort)\n",
        "test_mini.py": "from meeting import meet\ndef test_fine(): meet()\n",
    }
    first = mini(files, *ARGUMENTS, "-p", "cacheprovider", folder=tmp_path)
    assert (first.status, first.verdict("test_fine")) == (1, "passed")
    again = mini(files, *ARGUMENTS, "-p", "cacheprovider", "--lf", folder=tmp_path)
    assert (again.status, again.verdict("test_fine")) == (1, "passed")
    again.lines.no_fnmatch_line("*known failures*")


ESCAPED = """
import ctypes, os, pathlib
import pytest
from meeting import meet

@pytest.mark.thread_unsafe
def test_child_keeps_the_connection():
    libc = ctypes.PyDLL(None)
    child = libc.fork()  # Python does not know of it
    if child == 0:
        libc.setsid()
        for fd in range(1000):
            if fd not in (3, 4): libc.close(fd)
        libc.sleep(100)
        libc._exit(0)
    pathlib.Path(os.environ["CHILD"]).write_text(str(child))
    os.abort()

def test_after(): meet()
"""


def test_child_that_keeps_the_connection(mini, tmp_path):
    """It is out of reach, and holds the dead worker's connection open: the run goes on while it still lives."""
    run = mini({"test_mini.py": ESCAPED}, *ARGUMENTS, CHILD=str(tmp_path / "child"))
    os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)  # raises if it is gone already
    assert run.verdicts() == {
        "test_mini.py::test_child_keeps_the_connection": "crash",
        "test_mini.py::test_after": "passed",
    }
    assert run.finding("test_child_keeps_the_connection")["headline"] == "SIGABRT"
    assert run.status == 1


def test_threads_left_behind_in_process(mini, tmp_path):
    """Without a worker, after a deadlock: the process ends, although its threads never will."""
    body = """
    import threading
    from meeting import meet
    locks = threading.Lock(), threading.Lock()
    def test_deadlock():
        first, second = locks[::meet() * 2 - 1]
        with first:
            meet("both")
            with second: pass
    def test_after(): pass
    """
    mark = str(tmp_path)
    run = mini({"test_mini.py": body}, *ARGUMENTS, "--ftcheck-isolate=no", FTCHECK_TEST_MARK=mark, TMPDIR=mark)
    assert run.status == 1
    assert run.verdict("test_deadlock") == "deadlock"
    assert left_behind(mark, tmp_path) == []


def test_child_that_comes_back_in_process(mini, tmp_path):
    """Without a worker: it is ended, and said to be; the session is run once."""
    body = """
    import os
    import pytest
    from meeting import meet
    def test_concurrent():
        meet()
        if os.fork(): os.wait()
    @pytest.mark.thread_unsafe
    def test_alone():
        if os.fork(): os.wait()
    @pytest.fixture
    def forks():
        if os.fork(): os.wait()
    @pytest.mark.thread_unsafe
    def test_fixture(forks): pass
    """
    mark = str(tmp_path)
    run = mini({"test_mini.py": body}, *ARGUMENTS, "--ftcheck-isolate=no", FTCHECK_TEST_MARK=mark, TMPDIR=mark)
    assert run.status == 0
    assert run.verdict("test_concurrent") == "passed"
    assert run.out.count("test session starts") == 1
    for test in ("test_concurrent", "test_alone", "test_fixture"):
        run.lines.fnmatch_lines_random(f"*test_mini.py::{test}: a forked child came back from the code that forked it*")
    assert left_behind(mark, tmp_path) == []

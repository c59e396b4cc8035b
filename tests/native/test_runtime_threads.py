"""Threads, processes, and the end: many of them, forked, and gone."""

import pytest

from tests.native.snippets import COMPILERS, build, run, watched_here

pytestmark = watched_here

_COUNTS = """
#include <unistd.h>
static volatile long shared, calm;
static PyMutex lock;
static NOINLINE void counts(void) { shared++; }
static NOINLINE void counts_calmly(void) { PyMutex_Lock(&lock); calm++; PyMutex_Unlock(&lock); }
static void left(void) { counts(); reach(1); await(2); }
static void right(void) { await(1); counts(); reach(2); }
static PyObject *locked(PyObject *module, PyObject *argument) { counts_calmly(); Py_RETURN_NONE; }
#define MORE {"locked", locked, METH_NOARGS, NULL},
"""


@pytest.mark.parametrize("cc", COMPILERS)
def test_thousands_of_short_threads(tmp_path, cc):
    """Numbers of threads are given again; nothing is mistaken for what their last owners did."""
    build(tmp_path, _COUNTS, cc=cc)
    outcome = run(
        tmp_path,
        """
        def body():
            for _ in range(600):
                both(*[snippet.locked] * 5)
        """,
    )
    assert outcome.status == 0, outcome.output
    assert outcome.races == []
    assert outcome.seen["limits"] == []


@pytest.mark.parametrize("cc", COMPILERS)
def test_a_race_of_late_threads_is_seen(tmp_path, cc):
    build(tmp_path, _COUNTS, cc=cc)
    outcome = run(
        tmp_path,
        """
        def body():
            for _ in range(200):
                both(*[snippet.locked] * 5)
            both(snippet.left, snippet.right)
        """,
    )
    assert outcome.functions == {"counts"}


def test_more_threads_at_a_time_than_can_be_watched(tmp_path):
    """Those beyond are counted; what they order by atomic operations is no race of others."""
    build(tmp_path, _COUNTS)
    outcome = run(
        tmp_path,
        """
        def body():
            gate = threading.Barrier(300)
            def work():
                for _ in range(3):
                    snippet.locked()
                gate.wait()
                for _ in range(3):
                    snippet.locked()
            both(*[work] * 300)
        """,
    )
    assert outcome.status == 0, outcome.output
    assert outcome.races == []
    (limit,) = outcome.seen["limits"]
    assert limit.endswith("threads were not watched: 256 at a time can be")


@pytest.mark.parametrize("cc", COMPILERS)
def test_a_child_process_goes_its_way(tmp_path, cc):
    """It is not watched, which is said; and what it does is none of the parent's."""
    build(tmp_path, _COUNTS, cc=cc)
    outcome = run(
        tmp_path,
        """
        import os, warnings
        warnings.simplefilter("ignore")
        def body():
            statuses = []
            stop = threading.Event()
            def hammer():
                while not stop.is_set():
                    snippet.locked()
            busy = threading.Thread(target=hammer)
            busy.start()
            for _ in range(20):
                pid = os.fork()
                if pid == 0:
                    snippet.again()
                    both(snippet.left, snippet.right)
                    os._exit(7)
                statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            stop.set()
            busy.join()
            return statuses
        """,
    )
    assert outcome.said == [7] * 20, outcome.output
    assert outcome.races == []
    assert outcome.seen["limits"] == ["20 child processes of fork() were not watched"]


_LATE = """
#include <pthread.h>
static volatile long shared, early;
static PyMutex lock;
static pthread_key_t key;
static NOINLINE void destroyed(void *value) { PyMutex_Lock(&lock); shared++; PyMutex_Unlock(&lock); }
__attribute__((constructor)) static void comes(void) { early++; pthread_key_create(&key, destroyed); }
__attribute__((destructor)) static void goes(void) { early++; shared++; }
static void left(void) { PyMutex_Lock(&lock); shared++; PyMutex_Unlock(&lock); pthread_setspecific(key, &shared); }
static void right(void) { left(); }
"""


@pytest.mark.parametrize("cc", COMPILERS)
def test_what_runs_before_and_after_all_else(tmp_path, cc):
    """Constructors and destructors of the module, and of a thread's own variables; with the watch still on at the end."""
    build(tmp_path, _LATE, cc=cc)
    outcome = run(
        tmp_path,
        """
        def body():
            for _ in range(20):
                both(snippet.left, snippet.right, snippet.left)
            import atexit
            atexit.register(_core.native_watch, 0.0, 1, 0)
        """,
    )
    assert outcome.status == 0, outcome.output
    assert outcome.races == []


def test_a_subinterpreter(tmp_path):
    build(tmp_path, _COUNTS)
    outcome = run(
        tmp_path,
        """
        from concurrent import interpreters
        def body():
            other = interpreters.create()
            def work():
                other.exec("import snippet\\nfor _ in range(100): snippet.locked()")
            both(work, snippet.locked, snippet.locked)
            other.close()
        """,
    )
    assert outcome.status == 0, outcome.output
    assert outcome.races == []


@pytest.mark.parametrize("how", ["shared++", "__atomic_fetch_add(&shared, 1, __ATOMIC_SEQ_CST)"])
def test_signal_handlers_of_the_extension(tmp_path, how):
    source = """
#include <signal.h>
#include <sys/time.h>
static volatile long shared, handled;
static void handler(int number) { HOW; handled++; }
static NOINLINE void counts(void) { for (long i = 0; i < 3000000; i++) HOW; }
static void left(void)
{
    signal(SIGALRM, handler);
    struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &often, NULL);
    counts();
    setitimer(ITIMER_REAL, &never, NULL);
}
static void right(void) {}
static PyObject *how_often(PyObject *module, PyObject *argument) { return PyLong_FromLong(handled); }
#define MORE {"how_often", how_often, METH_NOARGS, NULL},
"""
    build(tmp_path, source.replace("HOW", how))
    outcome = run(tmp_path, "def body():\n    snippet.left()\n    return snippet.how_often()")

    assert outcome.status == 0, outcome.output
    assert outcome.said > 0
    assert outcome.races == []


def test_what_was_looked_at_is_said(tmp_path):
    build(tmp_path, _COUNTS)
    outcome = run(tmp_path, "def body():\n    snippet.locked()")

    assert outcome.seen["modules"] == 1
    assert outcome.seen["accesses"] > 0
    assert outcome.seen["limits"] == []

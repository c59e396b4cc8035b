"""One run over more than thirty ways to crash or to hang: each is one test's verdict, and everything else is as ever.

The table ``WAYS`` says what is expected of each. The run has to end by itself, with every test in the JUnit file once, and
to leave nothing behind: no process, no temporary folder.
"""

import platform
from typing import NamedTuple

import pytest

from .leftovers import left_behind

C = r"""
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

void write_to_constant(void) { *(volatile char *)"constant" = 1; }
void divide_by_zero(void) { volatile int zero = 0; zero = 1 / zero; raise(SIGFPE); }
void trap(void) { __builtin_trap(); }
void free_what_is_not_mine(void) { char *block = malloc(64); free(block + 8); }
void leave(int status) { _exit(status); }
void *spin(void *unused) { for (volatile int i = 0;; i++) { } return unused; }

__attribute__((noinline)) void copy_too_much(const char *text) { char little[8]; strcpy(little, text); }
void smash_the_stack(void) { copy_too_much("much longer than eight characters, and the guard behind them"); }

int overflow(int n) { volatile char space[4096]; space[0] = n; return overflow(n + 1) + space[0]; }

void exhaust_memory(void)
{
    struct rlimit little = {1 << 20, RLIM_INFINITY};
    setrlimit(RLIMIT_AS, &little);
    if (malloc(1 << 28) == NULL) { abort(); }
}

void die_with_every_signal_blocked(void)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    *(volatile int *)0 = 1;
}

static void *die_later(void *fd)
{
    char byte;
    while (read((int)(long)fd, &byte, 1) != 1) { }
    *(volatile int *)0 = 1;
    return NULL;
}

void die_when_told(int fd)
{
    pthread_t thread;
    pthread_create(&thread, NULL, die_later, (void *)(long)fd);
    pthread_detach(thread);
}
"""

HELP = """
import ctypes, mmap, os, resource, signal, sys, tempfile, threading, time
import ftcheck, pytest
from meeting import meet

C, HELD = ctypes.CDLL(os.environ["WAYS"]), ctypes.PyDLL(os.environ["WAYS"])  # the second does not let go of the thread state
alone = pytest.mark.thread_unsafe(reason="alone")

def null(): ctypes.string_at(0)

def in_one_thread(die, *arguments):
    if meet(os.environ["PYTEST_CURRENT_TEST"]) == 0:
        die(*arguments)
    threading.Event().wait(100)

def for_ever():
    while True:
        time.sleep(0.01)
"""

CRASHES = """
from help import *

def test_a_before(): meet()

def test_null_pointer(): in_one_thread(null)
def test_constant(): in_one_thread(C.write_to_constant)

def test_beyond_the_file():
    with tempfile.TemporaryFile() as file:
        file.truncate(1)
        memory = mmap.mmap(file.fileno(), 1)
        file.truncate(0)
        memory[0]

def test_division(): in_one_thread(C.divide_by_zero)
def test_illegal_instruction(): in_one_thread(C.trap)
def test_abort(): in_one_thread(os.abort)
def test_invalid_free(): in_one_thread(C.free_what_is_not_mine)
def test_stack_smashing(): in_one_thread(C.smash_the_stack)
def test_stack_overflow(): in_one_thread(C.overflow, 0)

def test_between(): meet()

def test_fatal_error():
    function = ctypes.PyDLL(None).Py_FatalError
    function.argtypes, function.restype = [ctypes.c_char_p], None
    in_one_thread(function, b"made by the test")

def test_os_exit_0(): in_one_thread(os._exit, 0)
@alone
def test_os_exit_3(): os._exit(3)
@alone
def test_silent(): C.leave(0)
def test_silent_in_a_thread(): in_one_thread(C.leave, 5)
@alone
def test_memory_is_out(): C.exhaust_memory()

@alone
def test_cpu_time_is_out():
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + 1, resource.RLIM_INFINITY))
    while True: pass

def kill(number):
    os.kill(os.getpid(), number)
    time.sleep(100)

@alone
def test_sigkill(): kill(signal.SIGKILL)
@alone
def test_sigterm(): kill(signal.SIGTERM)
@alone
def test_sigpipe():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    kill(signal.SIGPIPE)
@alone
def test_own_group(): os.killpg(os.getpgrp(), signal.SIGKILL); time.sleep(100)
@alone
def test_every_signal_blocked(): C.die_with_every_signal_blocked()

class Dies:
    def __del__(self): null()

def test_finalizer():
    if meet() == 0:
        thing = Dies()
        del thing
    threading.Event().wait(100)

@pytest.fixture
def dies_in_setup(): null()
@alone
def test_setup(dies_in_setup): pass

@pytest.fixture
def dies_in_teardown():
    yield
    null()
@alone
def test_teardown(dies_in_teardown): pass

def test_setup_in_threads(request):
    if threading.current_thread() is not threading.main_thread(): null()

reading, writing = os.pipe()
@alone
def test_thread_left_behind_dies(): C.die_when_told(reading)  # conftest.py tells it, when the test is over

@alone
def test_closes_everything():
    os.closerange(0, 2000)
@alone
def test_closes_everything_and_dies():
    os.closerange(0, 2000)
    null()

def test_forked_child_dies():
    child = os.fork()
    if child == 0: null()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGSEGV

def test_z_after(): meet()
def test_z_fails(): assert meet() == 5
"""

HANGS = """
from help import *

def test_a_before(): meet()

def test_loop():
    if meet() == 0:
        while True: pass

def test_loop_in_c():
    if meet() == 0: HELD.spin(None)
@alone
def test_loop_in_c_alone(): HELD.spin(None)

one, other = threading.Lock(), threading.Lock()
def test_lock_order():
    first, second = (one, other) if meet() else (other, one)
    with first:
        meet("locked")
        with second: pass

def test_lock_twice():
    mine = threading.Lock()
    mine.acquire()
    mine.acquire()

def test_condition():
    condition = threading.Condition()
    with condition: condition.wait()

def test_join():
    waiting = threading.Thread(target=threading.Event().wait, daemon=True)
    waiting.start()
    waiting.join()

def test_pipe():
    reading, writing = os.pipe()
    os.read(reading, 1)

def test_own_threads():
    ftcheck.concurrently(for_ever, for_ever)

@pytest.fixture
def never_up(): for_ever()
@alone
def test_setup(never_up): pass

@pytest.fixture
def never_down():
    yield
    for_ever()
@alone
def test_teardown(never_down): pass

@alone
def test_ignores_sigterm():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for_ever()

@alone
def test_stopped(): os.kill(os.getpid(), signal.SIGSTOP)

def test_child_goes_on():
    child = os.fork()
    if child == 0:
        for_ever()
    if meet() == 0: os.waitpid(child, 0)

def test_z_after(): meet()
"""

STRANGE = """
from help import *

def test_closes_output():
    os.close(1)
    os.close(2)
test_closes_output = alone(test_closes_output)

def test_after_closed_output(): meet()

def test_child_comes_back():
    meet()
    if os.fork(): os.wait()

@pytest.fixture
def forks():
    if os.fork(): os.wait()
    yield
    if os.fork(): os.wait()
def test_child_comes_back_from_fixture(forks): meet()

@alone
def test_child_comes_back_alone():
    if os.fork(): os.wait()

@alone
def test_child_fails_alone():
    child = os.fork()
    assert child != 0
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1

def test_leaves_a_child():
    meet()
    if os.fork() == 0:
        time.sleep(1000)
        os._exit(0)

def test_leaves_threads():
    meet()
    threading.Thread(target=threading.Event().wait).start()

def test_exit_in_a_thread():
    meet()
    thread = threading.Thread(target=sys.exit, args=[3])
    thread.start()
    thread.join()

def test_z_after(): meet()
"""

FILES = {
    "help.py": HELP,
    "conftest.py": """
        import os, sys, time
        def pytest_runtest_logfinish(nodeid):
            if "thread_left_behind_dies" in nodeid and "PYTEST_XDIST_WORKER" in os.environ:
                os.write(sys.modules["test_crashes"].writing, b"!")
                time.sleep(100)
    """,
    "test_crashes.py": CRASHES,
    "test_hangs.py": HANGS,
    "test_import_dies.py": "import ctypes\nctypes.string_at(0)\ndef test_never(): pass\n",
    "test_import_hangs.py": "import time\nwhile True: time.sleep(0.01)\n",
    "test_import_leaves.py": "import os\nos._exit(0)\n",
    "test_strange.py": STRANGE,
}


class Way(NamedTuple):
    """What is expected of one test: its verdict, words of the headline, the phase."""

    test: str
    verdict: str
    words: str
    phase: str = "call"


X86 = platform.machine() == "x86_64"
WAYS = [
    Way("test_crashes.py::test_null_pointer", "crash", "SIGSEGV at address 0x0 in round 1"),
    Way("test_crashes.py::test_constant", "crash", "SIGSEGV at address 0x"),
    Way("test_crashes.py::test_beyond_the_file", "crash", "SIGBUS at address 0x"),
    Way("test_crashes.py::test_division", "crash", "SIGFPE"),
    Way("test_crashes.py::test_illegal_instruction", "crash", "SIGILL" if X86 else "SIG"),
    Way("test_crashes.py::test_abort", "crash", "SIGABRT in round 1"),
    Way("test_crashes.py::test_invalid_free", "crash", "SIGABRT"),
    Way("test_crashes.py::test_stack_smashing", "crash", "*** stack smashing detected ***"),
    Way("test_crashes.py::test_stack_overflow", "crash", "SIGSEGV at address 0x"),
    Way("test_crashes.py::test_fatal_error", "crash", "made by the test"),
    Way("test_crashes.py::test_os_exit_0", "crash", "os._exit(0) was called"),
    Way("test_crashes.py::test_os_exit_3", "crash", "os._exit(3) was called"),
    Way("test_crashes.py::test_silent", "crash", "exited with status 0, without running its exit handlers"),
    Way("test_crashes.py::test_silent_in_a_thread", "crash", "exited with status 5, without running its exit handlers"),
    Way("test_crashes.py::test_memory_is_out", "crash", "SIGABRT"),
    Way("test_crashes.py::test_cpu_time_is_out", "crash", "SIGXCPU"),
    Way("test_crashes.py::test_sigkill", "crash", "SIGKILL (the kernel sends it when memory runs out"),
    Way("test_crashes.py::test_sigterm", "crash", "SIGTERM"),
    Way("test_crashes.py::test_sigpipe", "crash", "SIGPIPE"),
    Way("test_crashes.py::test_own_group", "crash", "SIGKILL"),
    Way("test_crashes.py::test_every_signal_blocked", "crash", "SIGSEGV"),
    Way("test_crashes.py::test_finalizer", "crash", "SIGSEGV at address 0x0"),
    Way("test_crashes.py::test_setup", "crash", "SIGSEGV at address 0x0 in the set-up", "setup"),
    Way("test_crashes.py::test_teardown", "crash", "SIGSEGV at address 0x0 in the teardown", "teardown"),
    Way("test_crashes.py::test_setup_in_threads", "crash", "SIGSEGV at address 0x0 in round 1"),
    Way("test_crashes.py::test_thread_left_behind_dies", "crash", "the tested code has started after the test", "between"),
    Way("test_crashes.py::test_closes_everything", "crash", "closed file descriptors of the test runner ("),
    Way("test_crashes.py::test_closes_everything_and_dies", "crash", "SIGSEGV"),
    Way("test_hangs.py::test_loop", "hang", "round 1: not over after"),
    Way("test_hangs.py::test_loop_in_c", "hang", "no Python code could run any more"),
    Way("test_hangs.py::test_loop_in_c_alone", "hang", "no Python code could run any more"),
    Way("test_hangs.py::test_lock_order", "deadlock", "every thread waits for a lock"),
    Way("test_hangs.py::test_lock_twice", "deadlock", "every thread waits for a lock"),
    Way("test_hangs.py::test_condition", "deadlock", "every thread waits for a lock"),
    Way("test_hangs.py::test_join", "deadlock", "every thread waits for a lock"),
    Way("test_hangs.py::test_pipe", "hang", "round 1: not over after"),
    Way("test_hangs.py::test_own_threads", "hang", "round 1: not over after"),
    Way("test_hangs.py::test_setup", "hang", "setup not over after", "setup"),
    Way("test_hangs.py::test_teardown", "hang", "teardown not over after", "teardown"),
    Way("test_hangs.py::test_ignores_sigterm", "hang", "call not over after"),
    Way("test_hangs.py::test_stopped", "hang", "no sign of life"),
    Way("test_hangs.py::test_child_goes_on", "hang", "round 1: not over after"),
]
IDS = [way.test.rpartition("::")[2] for way in WAYS]
IMPORTS = [
    Way("test_import_dies.py", "crash", "SIGSEGV at address 0x0", "collection"),
    Way("test_import_hangs.py", "hang", "collection not over after", "collection"),
    Way("test_import_leaves.py", "crash", "os._exit(0) was called", "collection"),
]
FINE = {
    "test_crashes.py::test_a_before",
    "test_crashes.py::test_between",
    "test_crashes.py::test_z_after",
    "test_crashes.py::test_forked_child_dies",
    "test_hangs.py::test_a_before",
    "test_hangs.py::test_z_after",
    "test_strange.py::test_after_closed_output",
    "test_strange.py::test_child_comes_back",
    "test_strange.py::test_child_comes_back_from_fixture",
    "test_strange.py::test_leaves_a_child",
    "test_strange.py::test_leaves_threads",
    "test_strange.py::test_exit_in_a_thread",
    "test_strange.py::test_z_after",
}
ALONE = {
    "test_strange.py::test_closes_output",
    "test_strange.py::test_child_comes_back_alone",
    "test_strange.py::test_child_fails_alone",
}


@pytest.fixture(scope="module")
def run(mini, compile_c, tmp_path_factory):
    """All of them in one run."""
    library = compile_c("ways", C, "-fstack-protector-all")
    temporary = tmp_path_factory.mktemp("temporary")
    done = mini(
        FILES, "--ftcheck", "-n2", "--ftcheck-threads=2", "--ftcheck-rounds=3", "--ftcheck-timeout=3", "-v",
        WAYS=str(library), TMPDIR=str(temporary), FTCHECK_TEST_MARK=str(temporary),
    )  # fmt: skip
    done.temporary = temporary
    return done


def test_the_run_ends(run):
    """By itself, with status 1, and nothing is blamed on the tools."""
    assert run.status == 1
    run.lines.no_fnmatch_line("*INTERNALERROR*")
    run.lines.no_fnmatch_line("*worker 'gw*' crashed*")
    assert len(WAYS) >= 30


@pytest.mark.parametrize("way", WAYS, ids=IDS)
def test_verdict(run, way):
    """Crash, hang or deadlock, in its phase, with its cause, on that test and no other."""
    assert run.verdict(way.test) == way.verdict
    finding = run.finding(way.test)
    assert way.words in finding["headline"]
    assert finding["phase"] == way.phase
    when = "teardown" if way.phase == "between" else way.phase  # pytest knows of nothing after it
    reports = [one for one in run.record["reports"] if one["test"] == way.test]
    failed = {one["when"]: one["text"] for one in reports if one["outcome"] == "failed"}
    assert set(failed) == {when}
    assert f"{way.verdict}: {finding['headline']}" in failed[when]


@pytest.mark.parametrize("way", WAYS, ids=IDS)
def test_junit(run, way):
    """A failure if the body ended badly, an error if a set-up or teardown did."""
    tag = "failure" if way.phase == "call" else "error"
    name = way.test.replace(".py", "")
    assert run.junit_outcome(name) == [tag]
    assert run.finding(way.test)["headline"] in f"{run.junit_case(name).find(tag).text}"
    assert run.junit_properties(name)["ftcheck_verdict"] == way.verdict


def test_all_other_tests_have_their_verdicts(run):
    """Those before, between and after; a failure is still a failure."""
    verdicts = run.verdicts()
    assert {test: verdicts[test] for test in sorted(FINE)} == dict.fromkeys(sorted(FINE), "passed")
    assert {test: verdicts[test] for test in sorted(ALONE)} == dict.fromkeys(sorted(ALONE), "not checked")
    assert verdicts["test_crashes.py::test_z_fails"] == "failure"
    assert set(verdicts) == {*FINE, *ALONE, *(way.test for way in WAYS), "test_crashes.py::test_z_fails"}


def test_junit_file_is_complete(run):
    """Every test is in it exactly once, and so is each file that could not be imported; the counts add up."""
    names = sorted(f"{case.get('classname')}::{case.get('name')}".lstrip(":") for case in run.junit.iter("testcase"))
    imports = [way.test.removesuffix(".py") for way in IMPORTS]
    assert names == sorted([*(test.replace(".py", "") for test in run.verdicts()), *imports])
    assert int(run.junit.get("tests")) == len(names)


@pytest.mark.parametrize("way", IMPORTS, ids=[way.test for way in IMPORTS])
def test_import(run, way):
    """A file that ends the process on import is an error of that file, once, however many workers import it."""
    [finding] = [one for one in run.general if one["tests"] == [way.test]]
    assert (finding["verdict"], finding["phase"]) == (way.verdict, way.phase)
    assert way.words in finding["headline"]
    assert run.junit_outcome(way.test.removesuffix(".py")) == ["error"]


def test_no_other_findings(run):
    assert len(run.general) == len(IMPORTS)


def test_child_that_comes_back(run):
    """It is ended, and said to be: which test, and what it left with."""
    for test in ("test_child_comes_back", "test_child_comes_back_from_fixture", "test_child_comes_back_alone"):
        run.lines.fnmatch_lines_random(f"*test_strange.py::{test}: a forked child came back from the code that forked it*")
    run.lines.fnmatch_lines_random("*test_child_fails_alone: a forked child left *with AssertionError: assert 0 != 0*")


def test_nothing_is_left(run):
    """No process that belongs to the run, and nothing in the folder for temporary files that is ours."""
    assert left_behind(run.temporary, run.temporary) == []

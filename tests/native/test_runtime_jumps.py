"""Functions that are left otherwise than by a return: the stretch of C code is over all the same."""

import pytest

from tests.native.snippets import COMPILERS, build, races_of, run, watched_here

pytestmark = watched_here

_PRIVATE_CALL = """
#include <stdexcept>
extern "C" void calls(void (*one)(void)) { try { one(); } catch (const std::exception &) {} }
"""

_THROWS = """
#include <stdexcept>
extern "C" void calls(void (*one)(void));
static volatile long shared, other;
static NOINLINE void writes_and_throws(void) { shared++; throw std::runtime_error("away"); }
static NOINLINE long reads(void) { return shared; }
static NOINLINE void writes_and_returns(void) { shared++; }
"""


@pytest.mark.parametrize("cc", COMPILERS)
def test_an_exception_that_leaves_for_code_that_is_not_ours_is_a_border(tmp_path, cc):
    library = build(tmp_path, _PRIVATE_CALL, name="private", suffix=".cpp", whole=True, instrumented=False)
    source = (
        _THROWS
        + """
static void left(void) { await(1); calls(writes_and_throws); reach(2); await(3); }
static void right(void) { other++; reach(1); await(2); PyErr_Clear(); reads(); reach(3); }
"""
    )
    outcome = races_of(tmp_path, source, cc=cc, suffix=".cpp", link=(str(library), f"-Wl,-rpath,{tmp_path}"))

    assert outcome.races == []


@pytest.mark.parametrize("cc", COMPILERS)
def test_what_is_done_after_an_exception_was_caught_is_seen(tmp_path, cc):
    source = (
        _THROWS
        + """
static NOINLINE void deep(int depth) { other++; if (depth == 0) throw std::runtime_error("away"); deep(depth - 1); other++; }
static NOINLINE void catches(void) { try { deep(20); } catch (const std::exception &) { } }
static void left(void) { catches(); writes_and_returns(); reach(1); await(2); }
static void right(void) { await(1); reads(); reach(2); }
"""
    )
    outcome = races_of(tmp_path, source, cc=cc, suffix=".cpp")

    assert outcome.functions == {"writes_and_returns", "reads"}
    assert "deep" not in outcome.text  # which is over, whatever stood on the stack


_JUMPS = """
#include <setjmp.h>
static volatile long shared, other;
static _Thread_local jmp_buf back;
static NOINLINE void deep(int depth) { other++; if (depth == 0) longjmp(back, 1); deep(depth - 1); other++; }
static NOINLINE void jumps(int depth) { if (setjmp(back) == 0) deep(depth); }
static NOINLINE void writes(void) { shared++; }
static NOINLINE long reads(void) { return shared; }
"""


@pytest.mark.parametrize("depth", [3, 2000])
@pytest.mark.parametrize("cc", COMPILERS)
def test_a_stretch_is_over_after_longjmp_too(tmp_path, cc, depth):
    """Deeper than is noted, as well."""
    source = (
        _JUMPS.replace("other++", "")
        + """
static void left(void) { await(1); jumps(DEPTH); writes(); }
static void right(void) { other++; reach(1); await(2); PyErr_Clear(); reads(); reach(3); }
UNSEEN PyObject *reached(PyObject *module, PyObject *argument) { reach(2); await(3); Py_RETURN_NONE; }
#define MORE {"reached", reached, METH_NOARGS, NULL},
""".replace("DEPTH", str(depth))
    )
    build(tmp_path, source, cc=cc)
    outcome = run(
        tmp_path,
        """
        def first():
            snippet.left()
            snippet.reached()
        def body():
            both(first, snippet.right)
        """,
    )
    assert outcome.status == 0, outcome.output
    assert outcome.races == []


@pytest.mark.parametrize("cc", COMPILERS)
def test_after_longjmp_accesses_are_seen(tmp_path, cc):
    source = (
        _JUMPS.replace("other++", "")
        + """
static void left(void) { jumps(3); writes(); reach(1); await(2); }
static void right(void) { await(1); reads(); reach(2); }
"""
    )
    outcome = races_of(tmp_path, source, cc=cc)

    assert outcome.functions == {"writes", "reads"}
    assert "deep" not in outcome.text


@pytest.mark.parametrize("cc", COMPILERS)
def test_what_was_left_is_no_caller_of_a_function_with_a_larger_frame(tmp_path, cc):
    """On aarch64 the frame pointer leads to the lower end of a frame, so that this one's is below those that were left."""
    source = (
        _JUMPS.replace("other++", "")
        + """
static NOINLINE void large(void) { volatile char room[8192]; room[4000] = 0; shared++; }
static NOINLINE void lands(void)
{
    if (setjmp(back) == 0) deep(3);
    else large();
}
static void left(void) { lands(); reach(1); await(2); }
static void right(void) { await(1); reads(); reach(2); }
"""
    )
    outcome = races_of(tmp_path, source, cc=cc)

    assert outcome.functions == {"large", "reads"}
    assert "deep" not in outcome.text


def test_functions_that_return_twice_are_called_as_they_must_be(tmp_path):
    """setjmp, sigsetjmp, getcontext and vfork, each of which needs the frame and the registers of who has called it."""
    source = """
#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
static volatile long shared;
static void left(void) { shared++; }
static void right(void) { shared++; }
static PyObject *values(PyObject *module, PyObject *argument)
{
    jmp_buf plain;
    sigjmp_buf with_signals;
    ucontext_t context;
    volatile long first = 0, second = 0, third = 0;
    volatile int turns = 0;
    if (setjmp(plain) < 3) { first++; longjmp(plain, (int)first); }
    if (sigsetjmp(with_signals, 1) < 3) { second++; siglongjmp(with_signals, (int)second); }
    getcontext(&context);
    if (++turns < 3) { third++; setcontext(&context); }
    int status = 0;
    pid_t child = vfork();
    if (child == 0) { _exit(7); }
    waitpid(child, &status, 0);
    char *room = __builtin_alloca(64 + first);
    for (int i = 0; i < 64; i++) room[i] = (char)i;
    return Py_BuildValue("lllii", first, second, third, WEXITSTATUS(status), (int)room[63]);
}
#define MORE {"values", values, METH_NOARGS, NULL},
"""
    build(tmp_path, source)
    outcome = run(tmp_path, "def body():\n    return [snippet.values() for _ in range(100)][-1]")

    assert outcome.said == [3, 3, 2, 7, 63], outcome.output


@pytest.mark.parametrize("cc", COMPILERS)
def test_what_was_entered_before_anybody_watched_is_over_when_it_returns(tmp_path, cc):
    source = """
static volatile long shared, other;
static NOINLINE void writes(void) { shared++; }
static NOINLINE long reads(void) { return shared; }
static void left(void) { reach(1); await(2); writes(); }
static void right(void) { other++; reach(2); await(3); PyErr_Clear(); reads(); reach(4); }
UNSEEN PyObject *wait_for(PyObject *module, PyObject *argument) { await(PyLong_AsLong(argument)); Py_RETURN_NONE; }
UNSEEN PyObject *reached(PyObject *module, PyObject *argument) { reach(PyLong_AsLong(argument)); Py_RETURN_NONE; }
#define MORE {"wait_for", wait_for, METH_O, NULL}, {"reached", reached, METH_O, NULL},
"""
    build(tmp_path, source, cc=cc)
    outcome = run(
        tmp_path,
        """
        def first():
            snippet.left()
            snippet.reached(3)
            snippet.wait_for(4)
        early = threading.Thread(target=first)
        early.start()
        snippet.wait_for(1)
        def body():
            snippet.right()
            early.join()
        """,
    )
    assert outcome.status == 0, outcome.output
    assert outcome.races == []

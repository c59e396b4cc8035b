"""Memory that is given back: used after that, and used again by others."""

import pytest

from tests.native.snippets import COMPILERS, build, races_of, run, watched_here

pytestmark = watched_here


@pytest.mark.parametrize("cc", COMPILERS)
def test_what_is_used_after_python_has_it_back(tmp_path, cc):
    """Whoever came first: it is gone. Who freed it waits, for if it went on it could be given it again."""
    source = """
static long *volatile block;
static NOINLINE long uses(void) { return *(volatile long *)&block[1]; }
static NOINLINE void frees(void) { PyMem_Free(block); }
static void left(void) { block = (long *)PyMem_Malloc(64); block[1] = 1; frees(); reach(1); await(2); }
static void right(void) { await(1); PyErr_Clear(); uses(); reach(2); }
"""
    outcome = races_of(tmp_path, source, cc=cc)

    assert {("free", "frees"), ("read", "uses")} in outcome.races


@pytest.mark.parametrize("cc", COMPILERS)
@pytest.mark.parametrize(
    ("take", "give_back"),
    [("malloc(64)", "free(block)"), ("malloc(64)", "block = (long *)realloc(block, 4000)"), ("calloc(8, 8)", "free(block)")],
)
def test_what_malloc_gave_is_used_while_it_is_given_back(tmp_path, cc, take, give_back):
    source = f"""
#include <stdlib.h>
static long *volatile block;
static NOINLINE long uses(long *block) {{ return *(volatile long *)&block[1]; }}
static NOINLINE void frees(void) {{ {give_back}; }}
static void left(void) {{ block = (long *){take}; reach(1); await(2); frees(); reach(3); }}
static void right(void) {{ await(1); long *mine = block; PyErr_Clear(); uses(mine); reach(2); await(3); }}
"""
    outcome = races_of(tmp_path, source, cc=cc)

    assert {("write", "frees"), ("read", "uses")} in outcome.races


@pytest.mark.parametrize("cc", COMPILERS)
def test_delete_is_seen_too(tmp_path, cc):
    source = """
struct Thing { long parts[8]; };
static Thing *volatile block;
static NOINLINE long uses(Thing *block) { return *(volatile long *)&block->parts[1]; }
static NOINLINE void frees(void) { delete block; }
static void left(void) { block = new Thing(); PyErr_Clear(); reach(1); await(2); frees(); reach(3); }
static void right(void) { await(1); Thing *mine = block; PyErr_Clear(); uses(mine); reach(2); await(3); }
"""
    outcome = races_of(tmp_path, source, cc=cc, suffix=".cpp")

    assert {("write", "frees"), ("read", "uses")} in outcome.races


_AGAIN = """
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
static volatile long turns;
static NOINLINE void churns(void)
{
    for (int i = 0; i < 3000; i++) {
        size_t size = 16 + (size_t)(i * 37 % 4000);
        char *block = (char *)TAKE(size);
        for (size_t at = 0; at < size; at += 16) block[at] = (char)i;
        GIVE_BACK(block);
    }
}
static void left(void) { reach(1); churns(); }
static void right(void) { await(1); churns(); }
"""


@pytest.mark.parametrize("cc", COMPILERS)
@pytest.mark.parametrize(
    ("take", "give_back"),
    [("malloc", "free"), ("PyMem_Malloc", "PyMem_Free"), ("PyMem_RawMalloc", "PyMem_RawFree"),
     ("PyObject_Malloc", "PyObject_Free"),
     ("strdup_of", "free"), ("PyMem_RawMalloc_then_malloc", "free")],
)  # fmt: skip
def test_memory_that_others_had_before_is_no_race(tmp_path, cc, take, give_back):
    more = """
static void *strdup_of(size_t size) { char text[4096]; memset(text, 'a', size); text[size] = 0; return strdup(text); }
static void *PyMem_RawMalloc_then_malloc(size_t size) { PyMem_RawFree(PyMem_RawMalloc(size)); return malloc(size); }
"""
    source = _AGAIN.replace("static volatile long turns;", more).replace("TAKE", take).replace("GIVE_BACK", give_back)

    assert races_of(tmp_path, source, cc=cc).races == []


@pytest.mark.parametrize("cc", COMPILERS)
def test_pages_that_the_interpreter_has_given_back_are_anybodys(tmp_path, cc):
    """Large blocks of Python's are pages of the system; the same addresses come back from mmap()."""
    source = """
#include <stdlib.h>
#include <sys/mman.h>
static NOINLINE void fills(char *block, size_t size, long with)
{
    for (size_t i = 0; i < size; i += 8) block[i] = (char)with;
}
static volatile long retaken;
static void left(void)
{
    static char *were[64];
    for (int turn = 0; turn < 8; turn++) {
        size_t size = (size_t)3 << 29;
        char *block = (char *)PyMem_Malloc(size);
        fills(block, 30000, 1);
        PyMem_Free(block);
        int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
        char *pages = (char *)mmap(block, size, PROT_READ | PROT_WRITE, how, -1, 0);
        if (pages == (char *)block) {                  /* it was free */
            retaken++;
            fills(pages, 30000, 2);
        }
        if (pages != MAP_FAILED) munmap(pages, size);
    }
}
static void right(void) {}
static PyObject *how_often(PyObject *module, PyObject *argument) { return PyLong_FromLong(retaken); }
#define MORE {"how_often", how_often, METH_NOARGS, NULL},
"""
    build(tmp_path, source, cc=cc)
    outcome = run(tmp_path, "def body():\n    snippet.left()\n    return snippet.how_often()")

    assert outcome.status == 0, outcome.output
    assert outcome.said > 0, "the interpreter has given no page back: this shows nothing"
    assert outcome.races == []

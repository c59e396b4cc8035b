"""A block of eight bytes that is given back says nothing about the block beside it.

mimalloc has blocks of eight bytes (for the data of a short string of a subclass of str, say); so no more than that may be
marked as freed where a small block is given back.
"""

import json
import os
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path
from shutil import which

import pytest

import ftcheck
from ftcheck import _core

pytestmark = [
    pytest.mark.skipif(not hasattr(_core, "native_begin"), reason="extensions cannot be watched here"),
    pytest.mark.skipif(which("gcc") is None and which("clang") is None, reason="no compiler is there"),
]

SOURCE = r"""
#include <Python.h>
#define BLOCKS 4096
static char *blocks[BLOCKS];
static char *freed, *beside;

static int by_address(const void *a, const void *b)
{
    return *(char *const *)a < *(char *const *)b ? -1 : *(char *const *)a > *(char *const *)b;
}

/* Two blocks with nothing between them; true if there are any. */
static PyObject *take(PyObject *module, PyObject *ignored)
{
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = PyMem_Malloc(5);
        blocks[i][0] = 'a';
    }
    qsort(blocks, BLOCKS, sizeof *blocks, by_address);
    for (int i = 0; i + 1 < BLOCKS; i++) {
        if (blocks[i + 1] - blocks[i] == 8) {
            freed = blocks[i];
            beside = blocks[i + 1];
            Py_RETURN_TRUE;
        }
    }
    Py_RETURN_FALSE;
}

static PyObject *give_back(PyObject *module, PyObject *ignored) { PyMem_Free(freed); Py_RETURN_NONE; }
static PyObject *read_beside(PyObject *module, PyObject *ignored) { return PyLong_FromLong(*(volatile char *)beside); }
static PyObject *read_freed(PyObject *module, PyObject *ignored) { return PyLong_FromLong(*(volatile char *)freed); }

static PyMethodDef methods[] = {
    {"take", take, METH_NOARGS, NULL}, {"give_back", give_back, METH_NOARGS, NULL},
    {"read_beside", read_beside, METH_NOARGS, NULL}, {"read_freed", read_freed, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "small", NULL, 0, methods, slots, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit_small(void) { return PyModuleDef_Init(&definition); }
"""

CHILD = """
import json, threading
from ftcheck.native import watch
watch.begin()
import small
with watch.watched(0, delays=0.0) as found:
    neighbours = small.take()
    for call in (small.give_back, getattr(small, {reader!r})):
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
print(json.dumps([neighbours, [race.headline for race in found().races]]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    (folder / "small.c").write_text(SOURCE)
    include, out = sysconfig.get_path("include"), str(folder / "small.so")
    words = ["-O1", "-fPIC", "-shared", "-w", f"-I{include}", str(folder / "small.c"), "-o", out]
    subprocess.run([Path(sys.executable).with_name("ftcheck-cc"), *words], check=True)
    return folder


def _races(folder, reader):
    path = os.pathsep.join([str(Path(ftcheck.__file__).parents[1]), str(folder)])
    script = textwrap.dedent(CHILD.format(reader=reader))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
    neighbours, races = json.loads(done.stdout)
    if not neighbours:
        pytest.skip("this allocator has no blocks of eight bytes")
    return races


def test_the_block_beside_one_that_was_given_back_may_be_read(folder):
    assert _races(folder, "read_beside") == []


def test_the_block_that_was_given_back_may_not(folder):
    (race,) = _races(folder, "read_freed")
    assert race.startswith("use after free: read at small.c:")

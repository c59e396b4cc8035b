"""standin.c: extensions that ftcheck-cc has built, where ftcheck is not at work."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from ftcheck.native import compiler
from ftcheck.native.command import CompilerError

try:
    compiler.standin()
except CompilerError as error:
    pytest.skip(str(error), allow_module_level=True)

COMPILER = Path(sysconfig.get_path("scripts")) / "ftcheck-cc"
MODULE = r"""
#include <Python.h>
#include <stdatomic.h>

void __tsan_acquire(void *address);
int __tsan_mutex_pre_unlock(void *mutex, unsigned flags);

static long plain;

#define TRY(type) do { \
    _Atomic type x = 5; \
    type expected = 5, wrong = 9; \
    if (atomic_fetch_add(&x, 3) != 5 || atomic_fetch_sub(&x, 1) != 8 || atomic_fetch_or(&x, 8) != 7) return 1; \
    if (atomic_fetch_and(&x, 12) != 15 || atomic_fetch_xor(&x, 9) != 12 || atomic_exchange(&x, 5) != 5) return 2; \
    if (atomic_compare_exchange_strong(&x, &wrong, 1) || wrong != 5) return 3; \
    if (!atomic_compare_exchange_strong(&x, &expected, 7) || atomic_load(&x) != 7) return 4; \
    if (__atomic_fetch_nand((type *)&x, 3, __ATOMIC_ACQ_REL) != 7 || (type)atomic_load(&x) != (type)~3) return 5; \
    atomic_store(&x, 1); \
} while (0)

static int
tried(void)
{
    TRY(unsigned char);
    TRY(unsigned short);
    TRY(unsigned int);
    TRY(unsigned long);
    atomic_thread_fence(memory_order_seq_cst);
    atomic_signal_fence(memory_order_seq_cst);
    __tsan_acquire(&plain);
    return __tsan_mutex_pre_unlock(&plain, 0) == 1 ? 0 : 6;
}

static PyObject *
try_all(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    plain++;
    return PyLong_FromLong(tried());
}

static PyMethodDef methods[] = {{"try_all", try_all, METH_NOARGS, NULL}, {0}};
static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "NAME", .m_methods = methods, .m_slots = slots};
PyMODINIT_FUNC PyInit_NAME(void) { return PyModuleDef_Init(&definition); }
"""
SAID = """\
ftcheck: an extension module was built with ftcheck-cc, and nobody watches its memory accesses here.
ftcheck: to find its data races, run its tests: python -m pytest --ftcheck
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """A folder with two modules."""
    folder = tmp_path_factory.mktemp("modules")
    for name in ("one", "two"):
        (folder / f"{name}.c").write_text(MODULE.replace("NAME", name))
        include = f"-I{sysconfig.get_path('include')}"
        command = [COMPILER, "-O1", "-Wall", "-Werror", "-fPIC", "-shared", include, f"{name}.c", "-o", f"{name}.so"]
        environment = {name: value for name, value in os.environ.items() if name != "FTCHECK_CC_INSIDE"}
        subprocess.run(command, cwd=folder, env=environment, check=True)
    return folder


def run(folder, *words, **changes):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(folder), **changes},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_works_and_says_once_what_to_do(modules):
    done = run(modules, "-c", "import one, two; print(one.try_all(), two.try_all())")
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 0\n", SAID)


def test_it_says_so_without_ftcheck_in_reach(modules):
    done = run(modules, "-S", "-c", "import one; print(one.try_all())")
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", SAID)


def test_it_says_nothing_in_a_test_run_or_below(modules):
    (modules / "test_it.py").write_text(
        "import subprocess, sys\n"
        "def test_it(capfd):\n"
        "    import one\n"
        "    assert one.try_all() == 0\n"
        "    subprocess.run([sys.executable, '-c', 'import two'], check=True)\n"
        "    assert capfd.readouterr() == ('', '')\n"
    )
    done = run(modules, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ftcheck-cc" not in done.stdout + done.stderr


def test_with_standard_error_closed_it_goes_on(modules):
    done = run(modules, "-c", "import os; os.close(2); import one; print(one.try_all())")
    assert (done.returncode, done.stdout) == (0, "0\n")

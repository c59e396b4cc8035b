"""FT307, and asking libclang in a child process."""

import subprocess

import pytest

from ftcheck.audit.rules import clang_facts

needs_libclang = pytest.mark.skipif(not clang_facts.available(), reason="libclang is not installed: pip install libclang")
HEAD = "#include <Python.h>\ntypedef struct { PyObject_HEAD long n; PyMutex m; PyObject *o; _Atomic long a; } T;\n"
FINDS = {
    "number": "PyObject *f(T *self, PyObject *x) { self->n += 1; return x; }  /* here */",
    "cast": "PyObject *f(PyObject *op, PyObject *x) { ((T *)op)->n = 1; return x; }  /* here */",
    "variable": "PyObject *f(PyObject *op, PyObject *x) { T *self = (T *)op; self->n++; return x; }  /* here */",
    "reference": "PyObject *f(T *self, PyObject *x) { Py_XSETREF(self->o, Py_NewRef(x)); return x; }  /* here */",
}
LEAVES = {
    "atomic": "PyObject *f(T *self, PyObject *x) { self->a += 1; return x; }",
    "locked": "PyObject *f(T *self, PyObject *x) { PyMutex_Lock(&self->m); self->n = 1; PyMutex_Unlock(&self->m); "
    "return x; }",
    "fresh": "PyObject *f(void) { T *t = PyObject_New(T, 0); t->n = 1; return (PyObject *)t; }",
    "no object": "typedef struct { long n; } S;\nvoid f(S *s) { s->n = 1; }",
    "dealloc": "void d(T *self) { self->n = 0; }\nPyType_Slot s[] = {{Py_tp_dealloc, d}, {0}};",
    "read": "PyObject *f(T *self, PyObject *x) { return self->n ? x : 0; }",
}


@needs_libclang
@pytest.mark.parametrize("case", FINDS)
def test_finds(lines, case):
    found, marked = lines("FT307", HEAD + FINDS[case], clang=True)
    assert found == marked == [3]


@needs_libclang
@pytest.mark.parametrize("case", LEAVES)
def test_leaves_alone(lines, case):
    assert lines("FT307", HEAD + LEAVES[case], clang=True)[0] == []


@needs_libclang
def test_a_header_that_is_not_there_is_told(scanned):
    done = scanned('#include "none.h"\n' + HEAD + FINDS["number"], clang=True)
    assert [rule for rule, _ in done.looked.unchecked] == ["FT307"]
    assert "none.h" in done.looked.unchecked[0][1]
    assert "FT307" not in {one.rule for one in done.findings}


@pytest.mark.parametrize(
    ("happens", "said"),
    [
        (subprocess.TimeoutExpired("x", 1), "took more than"),
        (subprocess.CompletedProcess("x", -11, "", ""), "status -11"),
        (subprocess.CompletedProcess("x", 1, "", "Traceback\nOSError: no libclang.so"), "no libclang.so"),
        (subprocess.CompletedProcess("x", 0, "{}", ""), "no answer"),
    ],
)
def test_a_child_that_fails_costs_ft307_only(scanned, monkeypatch, happens, said):
    def run(command, **_):
        if command[0] == "cc":
            raise FileNotFoundError
        if isinstance(happens, Exception):
            raise happens
        return happens

    monkeypatch.setattr(clang_facts.subprocess, "run", run)
    done = scanned("static long hits;\nvoid f(void) { hits++; }\n", clang=True)
    assert [one.rule for one in done.findings] == ["FT301"]
    assert said in done.looked.unchecked[0][1]

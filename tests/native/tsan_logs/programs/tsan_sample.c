/* Counters for tests of --ftcheck-tsan-log: one that several threads may add to, and three that they may not. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <signal.h>

static long plain, other, atomic;
static long at_import;

static PyObject *
add_plain(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(nothing))
{
    for (int i = 0; i < 200; i++) { plain++; }
    Py_RETURN_NONE;
}

static PyObject *
add_other(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(nothing))
{
    for (int i = 0; i < 200; i++) { other++; }
    Py_RETURN_NONE;
}

static PyObject *
add_at_import(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(nothing))
{
    for (int i = 0; i < 200; i++) { at_import++; }
    Py_RETURN_NONE;
}

static PyObject *
add_atomic(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(nothing))
{
    for (int i = 0; i < 200; i++) { __atomic_fetch_add(&atomic, 1, __ATOMIC_SEQ_CST); }
    Py_RETURN_NONE;
}

static PyObject *
die(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(nothing))
{
    raise(SIGKILL);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"add_plain", add_plain, METH_NOARGS, NULL},
    {"add_other", add_other, METH_NOARGS, NULL},
    {"add_at_import", add_at_import, METH_NOARGS, NULL},
    {"add_atomic", add_atomic, METH_NOARGS, NULL},
    {"die", die, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "tsan_sample", .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_tsan_sample(void)
{
    return PyModuleDef_Init(&definition);
}

/* A static Python object that is changed in two steps.
 *
 * Wrong:   count() reads a value from a static dict, adds one and writes it back. Each dict
 *          operation locks the dict, so the C code has no data race in the strict sense; but
 *          between the two another thread writes, and its update is lost. Besides, the static
 *          object is shared by all interpreters of the process, which a dict must not be.
 * Race:    none in C: the dict has a lock of its own.
 * The GIL: with str keys and int values, neither step released it.
 * The fix: the dict in the module state, and a lock around both steps (see safe/module_state).
 */
#include <Python.h>

static PyObject *counts;  /* name -> how often it was counted */

/* Sets *value to the count of a name, 0 for one never seen. -1 on error. */
static int
lookup(PyObject *name, long long *value)
{
    *value = 0;
    PyObject *found;
    if (!PyUnicode_CheckExact(name)) {
        PyErr_SetString(PyExc_TypeError, "a name is a str");
        return -1;
    }
    if (PyDict_GetItemRef(counts, name, &found) < 0) {
        return -1;
    }
    if (found != NULL) {
        *value = PyLong_AsLongLong(found);
        Py_DECREF(found);
    }
    return 0;
}

static PyObject *
count(PyObject *Py_UNUSED(module), PyObject *name)
{
    long long value;
    if (lookup(name, &value) < 0) {
        return NULL;
    }
    PyObject *next = PyLong_FromLongLong(value + 1);
    int failed = next == NULL || PyDict_SetItem(counts, name, next) < 0;
    Py_XDECREF(next);
    return failed ? NULL : Py_NewRef(Py_None);
}

static PyObject *
counted(PyObject *Py_UNUSED(module), PyObject *name)
{
    long long value;
    return lookup(name, &value) < 0 ? NULL : PyLong_FromLongLong(value);
}

static PyMethodDef methods[] = {
    {"count", count, METH_O, "Count a name once more."},
    {"counted", counted, METH_O, "How often a name was counted."},
    {0}
};

static int
module_exec(PyObject *Py_UNUSED(module))
{
    counts = PyDict_New();
    return counts == NULL ? -1 : 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_module_state",
    .m_doc = "Counts names in a static dict.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_module_state(void)
{
    return PyModuleDef_Init(&module_def);
}

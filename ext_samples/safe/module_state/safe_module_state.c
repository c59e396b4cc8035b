/* A Python object in the module state, changed in two steps under a lock.
 *
 * Right:   every module object has its own dict and its own PyMutex, and the mutex is held from
 *          the read to the write. Names are exact strings: hashing and comparing them runs no
 *          Python code, so nothing under the mutex can call back into count().
 * The GIL: it hid the two steps of unsafe/module_state; here it is not needed.
 */
#include <Python.h>

typedef struct {
    PyMutex mutex;     /* held across reading and writing an entry */
    PyObject *counts;  /* name -> how often it was counted */
} State;

/* Adds `step` to the count of a name. Returns the new count, -1 on error. */
static long long
add(PyObject *module, PyObject *name, int step)
{
    State *state = PyModule_GetState(module);
    long long value = 0;
    PyObject *found, *next;
    if (!PyUnicode_CheckExact(name)) {
        PyErr_SetString(PyExc_TypeError, "a name is a str");
        return -1;
    }
    PyMutex_Lock(&state->mutex);
    if (PyDict_GetItemRef(state->counts, name, &found) < 0) {
        value = -1;
    }
    else {
        value = (found != NULL ? PyLong_AsLongLong(found) : 0) + step;
        next = PyLong_FromLongLong(value);
        if (next == NULL || PyDict_SetItem(state->counts, name, next) < 0) {
            value = -1;
        }
        Py_XDECREF(found);
        Py_XDECREF(next);
    }
    PyMutex_Unlock(&state->mutex);
    return value;
}

static PyObject *
count(PyObject *module, PyObject *name)
{
    return add(module, name, 1) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
counted(PyObject *module, PyObject *name)
{
    long long value = add(module, name, 0);
    return value < 0 ? NULL : PyLong_FromLongLong(value);
}

static PyMethodDef methods[] = {
    {"count", count, METH_O, "Count a name once more."},
    {"counted", counted, METH_O, "How often a name was counted."},
    {0}
};

static int
module_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);  /* all zeros: an unlocked mutex */
    state->counts = PyDict_New();
    return state->counts == NULL ? -1 : 0;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    Py_VISIT(state->counts);
    return 0;
}

static int
module_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    Py_CLEAR(state->counts);
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_module_state",
    .m_doc = "Counts names in a dict of the module state.",
    .m_size = sizeof(State),
    .m_methods = methods,
    .m_slots = slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

PyMODINIT_FUNC
PyInit_safe_module_state(void)
{
    return PyModuleDef_Init(&module_def);
}

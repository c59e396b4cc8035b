/* A static object, created when it is first asked for, under a PyMutex.
 *
 * Right:   one thread checks, builds and stores while the others wait, and the new reference
 *          is taken before the lock is released. invalidate() takes the pointer away under
 *          the lock and drops the reference after it: a destructor could call back into us.
 * The GIL: it is not needed. A thread that waits for a PyMutex releases the GIL (if any)
 *          and lets a garbage collection pass, so holding one while building is fine.
 */
#include <Python.h>

static PyObject *table;  /* number -> four hexadecimal digits; NULL when not built */
static PyMutex table_mutex;  /* protects table */

static PyObject *
build_table(void)
{
    PyObject *result = PyDict_New();
    for (long number = 0; result != NULL && number < 0x4000; number++) {
        PyObject *key = PyLong_FromLong(number);
        PyObject *digits = PyUnicode_FromFormat("%04lx", number);
        if (key == NULL || digits == NULL || PyDict_SetItem(result, key, digits) < 0) {
            Py_CLEAR(result);
        }
        Py_XDECREF(key);
        Py_XDECREF(digits);
    }
    return result;
}

static PyObject *
get_table(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyMutex_Lock(&table_mutex);
    if (table == NULL) {
        table = build_table();
    }
    PyObject *result = Py_XNewRef(table);
    PyMutex_Unlock(&table_mutex);
    return result;
}

static PyObject *
invalidate(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyMutex_Lock(&table_mutex);
    PyObject *old = table;
    table = NULL;
    PyMutex_Unlock(&table_mutex);
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"get_table", get_table, METH_NOARGS, "The one table, built if need be."},
    {"invalidate", invalidate, METH_NOARGS, "Forget the table."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_lazy_static",
    .m_doc = "A static table, created on demand under a lock.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_lazy_static(void)
{
    return PyModuleDef_Init(&module_def);
}

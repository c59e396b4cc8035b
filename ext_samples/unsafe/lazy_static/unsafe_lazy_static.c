/* A static object, created when it is first asked for.
 *
 * Wrong:   two threads both find NULL, both build the table, and the second store replaces
 *          the first: callers hold two different tables, one of which nobody releases.
 *          And a thread in invalidate() can drop the last reference between the load of
 *          `table` and the Py_NewRef of another thread: a use after free.
 * The GIL: building the table calls only C code of the interpreter that does not
 *          hand over the GIL, so the check and the store were one step.
 * The fix: a PyMutex around check, creation and Py_NewRef (see safe/lazy_static).
 */
#include <Python.h>

static PyObject *table;  /* number -> four hexadecimal digits; NULL when not built */

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
    if (table == NULL) {  /* race: 1 */
        table = build_table();  /* race */
    }
    return Py_XNewRef(table);  /* race: too */
}

static PyObject *
invalidate(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    Py_CLEAR(table);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"get_table", get_table, METH_NOARGS, "The one table, built if need be."},
    {"invalidate", invalidate, METH_NOARGS, "Forget the table."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_lazy_static",
    .m_doc = "A static table, created on demand without a lock.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_lazy_static(void)
{
    return PyModuleDef_Init(&module_def);
}

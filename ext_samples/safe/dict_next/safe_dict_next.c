/* A walk over a shared dict with PyDict_Next, in a critical section.
 *
 * Right:   the critical section holds the dict's own lock, which every change of a dict takes,
 *          so the dict stands still during the walk. It lasts only while the loop does nothing
 *          that can block or run Python code: hence exact ints, and no `return` inside.
 * The GIL: on a GIL build the two macros are empty; the GIL does their work there.
 */
#include <Python.h>

static PyObject *
total_size(PyObject *Py_UNUSED(module), PyObject *cache)
{
    if (!PyDict_Check(cache)) {
        PyErr_SetString(PyExc_TypeError, "total_size() needs a dict");
        return NULL;
    }
    long long total = 0;
    int failed = 0;
    PyObject *key, *size;
    Py_ssize_t position = 0;
    Py_BEGIN_CRITICAL_SECTION(cache);
    while (!failed && PyDict_Next(cache, &position, &key, &size)) {
        if (PyLong_CheckExact(size)) {
            long long bytes = PyLong_AsLongLong(size);
            failed = bytes == -1 && PyErr_Occurred();
            total += bytes;
        }
        else {
            PyErr_SetString(PyExc_TypeError, "sizes must be ints");
            failed = 1;
        }
    }
    Py_END_CRITICAL_SECTION();
    return failed ? NULL : PyLong_FromLongLong(total);
}

static PyMethodDef methods[] = {
    {"total_size", total_size, METH_O, "The sum of the sizes in a {name: size} dict."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_dict_next",
    .m_doc = "Walks a shared dict under its lock.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_dict_next(void)
{
    return PyModuleDef_Init(&module_def);
}

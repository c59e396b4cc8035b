/* A walk over a shared dict with PyDict_Next.
 *
 * Wrong:   PyDict_Next takes no lock and hands out borrowed references. While one thread walks,
 *          another moves entries: some are met twice, some never, and a resize can free
 *          the entries under the walker's feet.
 * Race:    none in C that a compiler has seen: the walk and the change are the interpreter's.
 * The GIL: the loop below never released it, so the dict stood still during a walk.
 * The fix: a critical section on the dict around the whole walk (see safe/dict_next).
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
    PyObject *key, *size;
    Py_ssize_t position = 0;
    while (PyDict_Next(cache, &position, &key, &size)) {
        long long bytes = PyLong_AsLongLong(size);
        if (bytes == -1 && PyErr_Occurred()) {
            break;
        }
        total += bytes;
    }
    return PyErr_Occurred() ? NULL : PyLong_FromLongLong(total);
}

static PyMethodDef methods[] = {
    {"total_size", total_size, METH_O, "The sum of the sizes in a {name: size} dict."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_dict_next",
    .m_doc = "Walks a shared dict without its lock.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_dict_next(void)
{
    return PyModuleDef_Init(&module_def);
}

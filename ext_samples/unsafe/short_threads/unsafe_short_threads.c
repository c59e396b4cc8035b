/* A histogram that many short threads fill without a lock.
 *
 * Wrong:   threads that come and go, two at a time, increment the same entries without a lock, and updates get lost.
 * The GIL: record() ran from call to return without another thread in between.
 * The fix: a PyMutex (see safe/short_threads).
 */
#include <Python.h>
#include <string.h>

static long long histogram[256];

static PyObject *
record(PyObject *Py_UNUSED(module), PyObject *arg)
{
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(arg, &data, &size) < 0) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < size; i++) {
        histogram[(unsigned char)data[i]]++;  /* race */
    }
    Py_RETURN_NONE;
}

static PyObject *
recorded(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    long long total = 0;
    for (int i = 0; i < 256; i++) {
        total += histogram[i];
    }
    return PyLong_FromLongLong(total);
}

static PyObject *
reset(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    memset(histogram, 0, sizeof histogram);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"record", record, METH_O, "Take some bytes in."},
    {"recorded", recorded, METH_NOARGS, "How many bytes were taken in."},
    {"reset", reset, METH_NOARGS, "Begin again."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_short_threads",
    .m_doc = "A histogram without a lock.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_short_threads(void)
{
    return PyModuleDef_Init(&module_def);
}

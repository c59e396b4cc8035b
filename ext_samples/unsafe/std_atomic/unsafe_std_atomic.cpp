/* Counters that are volatile, as if that were atomic.
 *
 * Wrong:   `volatile` keeps the compiler from leaving an access out. It makes no increment one step,
 *          and it orders nothing between threads: updates get lost.
 * The GIL: record() ran from call to return without another thread in between.
 * The fix: std::atomic (see safe/std_atomic).
 */
#include <Python.h>
#include <array>
#include <atomic>

namespace {

volatile long long histogram[256];

PyObject *
record(PyObject *, PyObject *arg)
{
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(arg, &data, &size) < 0) {
        return nullptr;
    }
    for (Py_ssize_t i = 0; i < size; i++) {
        long long before = histogram[static_cast<unsigned char>(data[i])];  // race: 1
        histogram[static_cast<unsigned char>(data[i])] = before + 1;  // race
    }
    Py_RETURN_NONE;
}

PyObject *
recorded(PyObject *, PyObject *)
{
    long long total = 0;
    for (int i = 0; i < 256; i++) {
        total += histogram[i];
    }
    return PyLong_FromLongLong(total);
}

PyObject *
reset(PyObject *, PyObject *)
{
    for (int i = 0; i < 256; i++) {
        histogram[i] = 0;
    }
    Py_RETURN_NONE;
}

PyMethodDef methods[] = {
    {"record", record, METH_O, "Take some bytes in."},
    {"recorded", recorded, METH_NOARGS, "How many bytes were taken in."},
    {"reset", reset, METH_NOARGS, "Begin again."},
    {nullptr, nullptr, 0, nullptr}
};

}  // namespace

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, nullptr}
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    "unsafe_std_atomic",
    "Counts with volatile.",
    0,
    methods,
    slots,
    nullptr,
    nullptr,
    nullptr,
};

PyMODINIT_FUNC
PyInit_unsafe_std_atomic()
{
    return PyModuleDef_Init(&module_def);
}

/* Counters that are std::atomic.
 *
 * Right:   each increment is one step. Relaxed order is enough: the counters publish nothing else.
 * The GIL: it hid the race of unsafe/std_atomic; here it is not needed.
 */
#include <Python.h>
#include <array>
#include <atomic>

namespace {

std::array<std::atomic<long long>, 256> histogram;

PyObject *
record(PyObject *, PyObject *arg)
{
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(arg, &data, &size) < 0) {
        return nullptr;
    }
    for (Py_ssize_t i = 0; i < size; i++) {
        histogram[static_cast<unsigned char>(data[i])].fetch_add(1, std::memory_order_relaxed);
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
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, nullptr}
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    "safe_std_atomic",
    "Counts with atomics.",
    0,
    methods,
    slots,
    nullptr,
    nullptr,
    nullptr,
};

PyMODINIT_FUNC
PyInit_safe_std_atomic()
{
    return PyModuleDef_Init(&module_def);
}

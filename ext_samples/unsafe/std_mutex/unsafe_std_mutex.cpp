/* A std::mutex that is unlocked at once.
 *
 * Wrong:   the std::unique_lock has no name. It is a temporary, gone at the end of its line, and the
 *          mutex with it: two threads increment the same entries, and updates get lost.
 * The GIL: record() ran from call to return without another thread in between.
 * The fix: a name for the lock (see safe/std_mutex).
 */
#include <Python.h>
#include <array>
#include <mutex>

namespace {

std::array<long long, 256> histogram;
std::mutex mutex;  // protects histogram

PyObject *
record(PyObject *, PyObject *arg)
{
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(arg, &data, &size) < 0) {
        return nullptr;
    }
    std::unique_lock<std::mutex>{mutex};
    for (Py_ssize_t i = 0; i < size; i++) {
        histogram[static_cast<unsigned char>(data[i])]++;  // race
    }
    Py_RETURN_NONE;
}

long long
total()
{
    std::unique_lock<std::mutex> lock{mutex};
    long long sum = 0;
    for (long long number : histogram) {
        sum += number;
    }
    return sum;
}

PyObject *
recorded(PyObject *, PyObject *)
{
    return PyLong_FromLongLong(total());
}

PyObject *
reset(PyObject *, PyObject *)
{
    std::unique_lock<std::mutex> lock{mutex};
    histogram.fill(0);
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
    "unsafe_std_mutex",
    "A lock that is over at once.",
    0,
    methods,
    slots,
    nullptr,
    nullptr,
    nullptr,
};

PyMODINIT_FUNC
PyInit_unsafe_std_mutex()
{
    return PyModuleDef_Init(&module_def);
}

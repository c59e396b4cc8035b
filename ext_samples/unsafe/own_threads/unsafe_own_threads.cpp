/* Two threads of the extension, whose result is read before they are done.
 *
 * Wrong:   the two halves are added up before the second thread is joined: it may still add.
 * The GIL: it never helped here: the function releases it, and its threads do not know of it.
 * The fix: join both, then read (see safe/own_threads).
 */
#include <Python.h>
#include <thread>
#include <vector>

namespace {

void
add(const unsigned char *from, const unsigned char *to, volatile long long *sum)
{
    for (; from != to; from++) {
        *sum = *sum + *from;  // race: 1
    }
}

long long
added(const unsigned char *data, size_t size)
{
    std::vector<long long> sums(2);
    std::thread first{add, data, data + size / 2, &sums[0]}, second{add, data + size / 2, data + size, &sums[1]};
    first.join();
    long long result = sums[0] + sums[1];  // race: 2
    second.join();
    return result;
}

PyObject *
sum(PyObject *, PyObject *arg)
{
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(arg, &data, &size) < 0) {
        return nullptr;
    }
    long long result;
    Py_BEGIN_ALLOW_THREADS
    result = added(reinterpret_cast<unsigned char *>(data), static_cast<size_t>(size));
    Py_END_ALLOW_THREADS
    return PyLong_FromLongLong(result);
}

PyMethodDef methods[] = {
    {"sum", sum, METH_O, "The sum of some bytes, in two threads."},
    {nullptr, nullptr, 0, nullptr}
};

}  // namespace

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, nullptr}
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    "unsafe_own_threads",
    "Reads the result of a thread that still runs.",
    0,
    methods,
    slots,
    nullptr,
    nullptr,
    nullptr,
};

PyMODINIT_FUNC
PyInit_unsafe_own_threads()
{
    return PyModuleDef_Init(&module_def);
}

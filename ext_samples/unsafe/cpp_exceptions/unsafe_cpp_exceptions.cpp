/* C++ exceptions that are counted without a lock where they are caught.
 *
 * Wrong:   two threads that catch one at the same time increment the same entries of `depths`, and
 *          updates get lost.
 * The GIL: it was held from where the exception was thrown to where it was caught.
 * The fix: a std::mutex (see safe/cpp_exceptions).
 */
#include <Python.h>
#include <array>
#include <stdexcept>

namespace {

struct TooDeep : std::runtime_error {
    using std::runtime_error::runtime_error;
};

std::array<long long, 5000> depths;  // how often each limit was too low

/* How many brackets are closed; each one that is open is a call. */
size_t
walk(const char *&at, const char *end, int depth, int limit)
{
    if (depth > limit) {
        throw TooDeep{"too deep"};
    }
    size_t closed = 0;
    while (at != end && *at == '(') {
        at++;
        closed += walk(at, end, depth + 1, limit);
        at += at != end;
        closed++;
    }
    return closed;
}

PyObject *
record(PyObject *, PyObject *arg)
{
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(arg, &data, &size) < 0) {
        return nullptr;
    }
    for (int limit = 0; limit < 40; limit += 8) {
        const char *at = data;
        try {
            walk(at, data + size, 0, limit);
        }
        catch (const TooDeep &) {
            for (long long &number : depths) {
                number++;  // race
            }
        }
    }
    Py_RETURN_NONE;
}

long long
total()
{
    long long sum = 0;
    for (long long number : depths) {
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
    depths.fill(0);
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
    "unsafe_cpp_exceptions",
    "Counts exceptions without a lock.",
    0,
    methods,
    slots,
    nullptr,
    nullptr,
    nullptr,
};

PyMODINIT_FUNC
PyInit_unsafe_cpp_exceptions()
{
    return PyModuleDef_Init(&module_def);
}

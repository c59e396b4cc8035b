/* C++ exceptions that are counted under a mutex where they are caught.
 *
 * Right:   the exception leaves many functions at once; what is done after it was caught is under
 *          the mutex.
 * The GIL: it hid the race of unsafe/cpp_exceptions; here it is not needed.
 */
#include <Python.h>
#include <array>
#include <mutex>
#include <stdexcept>

namespace {

struct TooDeep : std::runtime_error {
    using std::runtime_error::runtime_error;
};

std::array<long long, 5000> depths;  // how often each limit was too low
std::mutex mutex;  // protects depths

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
            std::unique_lock<std::mutex> lock{mutex};
            for (long long &number : depths) {
                number++;
            }
        }
    }
    Py_RETURN_NONE;
}

long long
total()
{
    std::unique_lock<std::mutex> lock{mutex};
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
    std::unique_lock<std::mutex> lock{mutex};
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
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, nullptr}
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    "safe_cpp_exceptions",
    "Counts exceptions under a lock.",
    0,
    methods,
    slots,
    nullptr,
    nullptr,
    nullptr,
};

PyMODINIT_FUNC
PyInit_safe_cpp_exceptions()
{
    return PyModuleDef_Init(&module_def);
}

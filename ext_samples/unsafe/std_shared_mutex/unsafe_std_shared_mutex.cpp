/* A std::shared_mutex that who writes shares, too.
 *
 * Wrong:   set() takes a std::shared_lock, as readers do: a reader finds some weights of the old
 *          setting and some of the new one.
 * The GIL: set() ran from call to return without another thread in between.
 * The fix: std::unique_lock (see safe/std_shared_mutex).
 */
#include <Python.h>
#include <array>
#include <mutex>
#include <shared_mutex>

namespace {

std::array<double, 64> weights;
std::shared_mutex mutex;  // protects weights

PyObject *
set(PyObject *, PyObject *arg)
{
    double weight = PyFloat_AsDouble(arg);
    if (weight == -1.0 && PyErr_Occurred()) {
        return nullptr;
    }
    std::shared_lock<std::shared_mutex> lock{mutex};
    for (double &one : weights) {
        one = weight;  // race: 1
    }
    Py_RETURN_NONE;
}

bool
are_equal()
{
    std::shared_lock<std::shared_mutex> lock{mutex};
    bool equal = true;
    for (size_t i = 1; i < weights.size(); i++) {
        equal = equal && weights[i] == weights[0];  // race: 2
    }
    return equal;
}

PyObject *
equal(PyObject *, PyObject *)
{
    return PyBool_FromLong(are_equal());
}

PyMethodDef methods[] = {
    {"set", set, METH_O, "Give all the same weight."},
    {"equal", equal, METH_NOARGS, "Whether all have the same weight."},
    {nullptr, nullptr, 0, nullptr}
};

}  // namespace

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, nullptr}
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    "unsafe_std_shared_mutex",
    "Writes under a lock for reading.",
    0,
    methods,
    slots,
    nullptr,
    nullptr,
    nullptr,
};

PyMODINIT_FUNC
PyInit_unsafe_std_shared_mutex()
{
    return PyModuleDef_Init(&module_def);
}

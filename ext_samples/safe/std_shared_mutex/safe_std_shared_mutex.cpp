/* A std::shared_mutex that who writes has alone.
 *
 * Right:   set() takes a std::unique_lock; readers share.
 * The GIL: it hid the wrong lock of unsafe/std_shared_mutex; here it is not needed.
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
    std::unique_lock<std::shared_mutex> lock{mutex};
    for (double &one : weights) {
        one = weight;
    }
    Py_RETURN_NONE;
}

bool
are_equal()
{
    std::shared_lock<std::shared_mutex> lock{mutex};
    bool equal = true;
    for (size_t i = 1; i < weights.size(); i++) {
        equal = equal && weights[i] == weights[0];
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
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, nullptr}
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    "safe_std_shared_mutex",
    "Writes under a lock of its own.",
    0,
    methods,
    slots,
    nullptr,
    nullptr,
    nullptr,
};

PyMODINIT_FUNC
PyInit_safe_std_shared_mutex()
{
    return PyModuleDef_Init(&module_def);
}

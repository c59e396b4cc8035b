/* A table that each object fills when it is first asked, with a flag that is set too early.
 *
 * Wrong:   who comes while another thread fills the table sees `filled`, and reads entries that are
 *          not there yet.
 * The GIL: filling the table calls nothing that releases it.
 * The fix: std::call_once (see safe/std_call_once).
 */
#include <Python.h>
#include <cmath>
#include <mutex>
#include <new>

namespace {

struct Table {
    double cells[2048] = {};
    bool filled = false;

    double
    at(size_t index)
    {
        if (!filled) {  // race: too
            filled = true;  // race: too
            fill();
        }
        return cells[index];  // race: 2
    }

    void
    fill()
    {
        for (size_t i = 0; i < 2048; i++) {
            cells[i] = std::sqrt(static_cast<double>(i));  // race: 1
        }
    }
};

struct Roots {
    PyObject_HEAD
    Table table;
};

PyObject *
roots_new(PyTypeObject *type, PyObject *, PyObject *)
{
    PyObject *op = type->tp_alloc(type, 0);
    if (op != nullptr) {
        new (&reinterpret_cast<Roots *>(op)->table) Table;
    }
    return op;
}

void
roots_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    reinterpret_cast<Roots *>(op)->table.~Table();
    type->tp_free(op);
    Py_DECREF(type);
}

PyObject *
roots_at(PyObject *op, PyObject *arg)
{
    size_t index = PyLong_AsSize_t(arg);
    if (index >= 2048) {
        return PyErr_Occurred() ? nullptr : PyErr_Format(PyExc_IndexError, "below 2048");
    }
    return PyFloat_FromDouble(reinterpret_cast<Roots *>(op)->table.at(index));
}

PyMethodDef roots_methods[] = {
    {"at", roots_at, METH_O, "The square root of a small number."},
    {nullptr, nullptr, 0, nullptr}
};

PyType_Slot roots_slots[] = {
    {Py_tp_new, reinterpret_cast<void *>(roots_new)},
    {Py_tp_dealloc, reinterpret_cast<void *>(roots_dealloc)},
    {Py_tp_methods, roots_methods},
    {0, nullptr}
};

PyType_Spec roots_spec = {
    .name = "unsafe_std_call_once.Roots",
    .basicsize = sizeof(Roots),
    .itemsize = 0,
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = roots_slots,
};

int
module_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &roots_spec, nullptr);
    int failed = type == nullptr || PyModule_AddType(module, reinterpret_cast<PyTypeObject *>(type)) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

}  // namespace

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void *>(module_exec)},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, nullptr}
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    "unsafe_std_call_once",
    "A table that is used while it is filled.",
    0,
    nullptr,
    slots,
    nullptr,
    nullptr,
    nullptr,
};

PyMODINIT_FUNC
PyInit_unsafe_std_call_once()
{
    return PyModuleDef_Init(&module_def);
}
